"""Does `tfopt check` find what it is to find, and nothing else, for real?

    python -m bench.check [--runs 10] [--results FILE]     verdicts, while another process keeps a core busy
    python -m bench.check --hidden                          slowdowns that no count shows
    python -m bench.check --cost                            CPU seconds of a timing check of a small model

The first checks a network `--runs` times against an equal one, where nothing may FAIL, and as often one with a widened
convolution, 10 to 15 % slower by a plain loop, of which nine in ten have to FAIL. Finished ones are kept in the results
file, and a second start goes on from there. The second wants each of these found by timing: Dropout under XLA, a layout
that is transposed and back, a Python callback.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import tfopt
from bench.duel import LONG, TRUE_RANGE, load, models
from tfopt.records.check import ModelCheck

FOUND, MOST_CPU_S = 0.9, 90.0
# Each pair differs in what is named alone. The callback is a custom layer: workers import it from here.
SAVE = """
import sys
from tfopt.workload.runtime import import_tensorflow
import_tensorflow()
from bench.slow_layers import PAIRS, saved
for name in PAIRS:
    saved(name, sys.argv[1])
"""


def main() -> None:
    """Print what is wanted, what was measured, and whether that is enough."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--results", type=Path, default=Path(tempfile.gettempdir()) / "tfopt-bench-check.jsonl")
    parser.add_argument("--hidden", action="store_true")
    parser.add_argument("--cost", action="store_true")
    arguments = parser.parse_args()
    with models() as folder:
        if arguments.hidden:
            hidden(folder)
        elif arguments.cost:
            cost(folder)
        else:
            verdicts(folder, arguments.runs, arguments.results)


def verdicts(folder: Path, runs: int, results: Path) -> None:
    """Equal models and slower ones."""
    plain, wider = (str(folder / f"{name}.keras") for name in ("plain", "wider"))
    done = subprocess.run([sys.executable, "-c", LONG, plain, wider], check=True, capture_output=True, text=True)
    wall, cpu = map(float, done.stdout.split()[-2:])
    low, high = TRUE_RANGE
    truly = f"{low:.2f} to {high:.2f} wanted, measured {cpu:.3f} by CPU time, {wall:.3f} by wall time"
    print(f"the wider network in a plain loop: {truly}  {_met(low <= cpu <= high)}", flush=True)
    kept = [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []
    found = {kind: [line for line in kept if line["kind"] == kind] for kind in ("equal", "slower")}
    with load("shared"), results.open("a") as lines:
        for number in range(runs):
            for kind, model in (("equal", plain), ("slower", wider)):
                if len(found[kind]) <= number:
                    line = {"kind": kind, **_timed(model, plain, seed=number)}
                    found[kind].append(line)
                    print(json.dumps(line), file=lines, flush=True)
                    print(json.dumps(line), flush=True)
    fails = {kind: sum("FAIL" in line["verdicts"] for line in of_kind[:runs]) for kind, of_kind in found.items()}
    print(f"equal: FAIL wanted 0, measured {fails['equal']} of {runs}  {_met(not fails['equal'])}")
    wanted = FOUND * runs
    print(f"slower: FAIL wanted {wanted:.0f} or more, measured {fails['slower']}  {_met(fails['slower'] >= wanted)}")


def hidden(folder: Path) -> None:
    """Slowdowns that FLOPs and op counts do not show, each of two models that differ in nothing else."""
    from bench.slow_layers import PAIRS

    subprocess.run([sys.executable, "-c", SAVE, str(folder)], check=True)
    with load("shared"):
        for name, options in PAIRS.items():
            slow, fast = (str(folder / f"{name}-{side}.keras") for side in ("slow", "fast"))
            line = _timed(slow, fast, imports=("bench.slow_layers",), **options)
            print(f"{name}: FAIL wanted, measured {json.dumps(line)}  {_met('FAIL' in line['verdicts'])}", flush=True)


def cost(folder: Path) -> None:
    """A timing check of a small model, with nothing else running that we know of."""
    line = _timed(str(folder / "cnn.keras"), str(folder / "cnn.keras"), seed=0)
    print(f"a timing check: {MOST_CPU_S:.0f} CPU s wanted, measured {json.dumps(line)}  "
          f"{_met(line['cpu_s'] <= MOST_CPU_S)}")  # fmt: skip


def _timed(model: str, baseline: str, **options: object) -> dict[str, object]:
    started = time.monotonic()
    record = tfopt.check(model, baseline=baseline, only=["timing"], **options)  # type: ignore[arg-type]
    (checked,) = record.models
    return {
        "verdicts": [gate.verdict for gate in checked.gates],
        **_ratios(checked),
        "seconds": round(time.monotonic() - started),
        "cpu_s": round(record.run.cpu_seconds, 1),
    }


def _ratios(checked: ModelCheck) -> dict[str, object]:
    if checked.duel is None:
        return {"failure": checked.failure}
    clocks = {"cpu": checked.duel.cpu, "wall": checked.duel.wall}
    return {
        clock: [round(value, 3) for value in (found.ratio, found.low, found.high) if value is not None]
        for clock, found in clocks.items()
        if found is not None
    }


def _met(good: bool) -> str:
    return "met" if good else "MISSED"


if __name__ == "__main__":
    main()
