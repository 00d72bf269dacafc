"""Does `tfopt compare` find what is true, in the time it promises?

    python -m bench.compare [--quick]

1. MobileNetV2 in four ways: done within five minutes, XLA slower, and the depthwise convolutions named as the cause.
2. The transformer, LSTM and MLP of bench.zoo: the ranking agrees with `bench.plain`, a script without tfopt's code. Two
   ways disagree where `compare` ranks them apart and the plain script finds them the other way round by more than the
   tolerance of 5 %, and where the script finds them 15 % apart and `compare` gives them one rank, or one of them none.

`--quick` takes smaller images, and two minutes for each of the others: it shows that the bench works.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

WAYS = ("graph", "xla", "eager", "mixed_bfloat16")
MODELS = ("transformer", "lstm", "mlp")
LIMIT_S = 300.0
TOLERANCE, FAR = 0.05, 0.15


def main() -> None:
    """Print wanted and measured, line by line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    with tempfile.TemporaryDirectory() as folder:
        mobilenet(Path(folder), quick)
        save = f"from bench.zoo import ZOO\nfor name in {MODELS!r}: ZOO[name]().save(f'{folder}/{{name}}.keras')"
        subprocess.run([sys.executable, "-c", save], check=True, stderr=subprocess.DEVNULL)
        for name in MODELS:
            ranking(Path(folder), name, quick)


def mobilenet(folder: Path, quick: bool) -> None:
    """The cause of a slow XLA, in time."""
    options = ["--variants", "eager,graph,xla,mixed_bfloat16", *(["--input-size", "96"] if quick else [])]
    started = time.monotonic()
    record = compared(folder / "mobilenet.json", "app:MobileNetV2", *options)
    seconds = time.monotonic() - started
    xla = next(arm for arm in record["arms"] if arm["label"] == "xla")
    causes = "; ".join(cause["message"] for cause in xla["causes"])
    print("\n".join(f"    {sentence}" for sentence in record["verdict"]))
    told("MobileNetV2 in four ways", f"≤ {LIMIT_S:.0f} s", f"{seconds:.0f} s", seconds <= LIMIT_S)
    told("XLA on MobileNetV2", "SLOWER", xla["result"]["verdict"], xla["result"]["verdict"] == "SLOWER")
    told("its cause", "depthwise", causes or "none", "depthwise" in causes.partition(";")[0])


def ranking(folder: Path, name: str, quick: bool) -> None:
    """Ranks against a plain script's ratios."""
    path = str(folder / f"{name}.keras")
    record = compared(
        folder / f"{name}.json", path, "--variants", ",".join(WAYS), "--max-time", "120" if quick else str(LIMIT_S)
    )
    plain = subprocess.run(
        [sys.executable, "-m", "bench.plain", path, ",".join(WAYS), "5" if quick else "40"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=True,
    )
    ratios: dict[str, float] = json.loads(plain.stdout)
    arms = {arm["label"]: arm for arm in record["arms"]}
    for way in WAYS[1:]:
        wall = (arms[way]["result"] or {}).get("wall")
        ours = f"{wall['ratio']:.2f}" if wall else arms[way]["result"]["verdict"]
        print(f"    {name:12} {way:16} compare {ours:>8}   plain {ratios[way]:.2f}   rank {arms[way]['rank']}")
    ranks = {way: arms[way]["rank"] for way in WAYS}
    wrong = disagreements(ranks, ratios)
    told(f"ranking of the {name}", "as the plain script", ", ".join(wrong) or "it agrees", not wrong)
    ranked = sum(rank is not None for rank in ranks.values())
    told(f"ranked ways of the {name}", f"{len(WAYS)}", f"{ranked}", ranked == len(WAYS))


def disagreements(ranks: Mapping[str, int | None], ratios: Mapping[str, float]) -> list[str]:
    """Where ranks contradict the plain script's ratios, and where they miss what it finds far apart."""
    found = []
    for fast, slow in itertools.permutations(ranks, 2):
        first, second = ranks[fast], ranks[slow]
        apart = ratios[slow] / ratios[fast] - 1
        if first and second and second < first and apart > TOLERANCE:
            found.append(f"{slow} before {fast}")
        elif apart > FAR and (first is None or second is None or first == second):
            found.append(f"{fast} not before {slow}")
    return found


def compared(output: Path, *arguments: str) -> dict[str, Any]:
    """The record of `tfopt compare`; arms that failed give it an exit code."""
    command = [sys.executable, "-m", "tfopt", "compare", *arguments, "--quiet", "-o", str(output)]
    code = subprocess.run(command, check=False).returncode
    if not output.exists():
        raise SystemExit(f"{' '.join(command)} ended with exit code {code}")
    record: dict[str, Any] = json.loads(output.read_text())
    return record


def told(what: str, wanted: str, measured: str, met: bool) -> None:
    """One line of the result."""
    print(f"{what:32} wanted {wanted:20} measured {measured}   {'met' if met else 'MISSED'}", flush=True)


if __name__ == "__main__":
    main()
