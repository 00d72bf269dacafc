"""What cheap facts cost beyond importing TensorFlow and loading the model, and whether two processes find the same.

    python -m bench.facts [--rounds N] [--costly] [MODEL ...]

MODEL is a path or app:NAME. For each: CPU seconds of a process that imports TensorFlow with Keras and loads the model,
by Keras alone, and of one that finds the facts (with the worker process that it starts), one after the other, in turn;
goal: the median of the ratios is at most 1.3. `--costly` finds all facts twice instead, in separate processes; goal:
none differs.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from tfopt.checks.facts import Failure, facts_of
from tfopt.records.fact_kinds import FACTS, facts_for
from tfopt.workload.options import Options
from tfopt.workload.workers.contestant import Contestant

GOAL = 1.3
SECONDS = 300.0
PLAIN = """
import os, sys
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras, tensorflow
path = sys.argv[1]
if path.startswith("app:"):
    getattr(keras.applications, path[4:])(weights=None)
else:
    keras.models.load_model(path)
"""
FOUND = """
import sys
from bench.facts import found
found(sys.argv[1])
"""


def main() -> None:
    """Print one line per model with what was wanted, measured, and whether that is met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="MODEL")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--costly", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for model in args.models or _saved(Path(folder)):
            if args.costly:
                _repeated(model)
            else:
                _cheap(model, args.rounds)


def found(model: str, names: tuple[str, ...] = facts_for(())) -> dict[str, float]:
    """The facts of these names, in a worker process of its own."""
    facts = facts_of([Contestant("model", model, Options())], {"model": names}, SECONDS)["model"]
    if isinstance(facts, Failure):
        raise SystemExit(f"{model}: {facts.message}")
    return facts.values


def _cheap(model: str, rounds: int) -> None:
    plain, facts = [], []
    for _ in range(rounds):
        plain.append(_cpu_seconds(PLAIN, model))
        facts.append(_cpu_seconds(FOUND, model))
    ratio = statistics.median(one / other for one, other in zip(facts, plain, strict=True))
    seconds = f"{statistics.median(facts):.2f} of {statistics.median(plain):.2f} CPU s"
    verdict = "met" if ratio <= GOAL else "missed"
    print(f"{Path(model).name:24} wanted ≤ {GOAL}  measured {ratio:.2f} ({seconds})  {verdict}", flush=True)


def _repeated(model: str) -> None:
    first, second = (found(model, tuple(FACTS)) for _ in range(2))
    differ = sorted(name for name in {*first, *second} if first.get(name) != second.get(name))
    verdict = "missed" if differ else "met"
    print(
        f"{Path(model).name:24} wanted the same {len(first)} facts  measured {differ or 'the same'}  {verdict}",
        flush=True,
    )


def _cpu_seconds(script: str, model: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", script, model], check=True, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)


def _saved(folder: Path) -> list[str]:
    """A small model and a deep one, saved."""
    script = """
import sys, keras
layers = keras.layers
keras.Sequential([keras.Input((16, 16, 3)), layers.Conv2D(8, 3), layers.Flatten(), layers.Dense(10)]).save(sys.argv[1])
keras.applications.MobileNetV2(weights=None).save(sys.argv[2])
"""
    files = [str(folder / f"{name}.keras") for name in ("small", "MobileNetV2")]
    subprocess.run([sys.executable, "-c", script, *files], check=True, stderr=subprocess.DEVNULL)
    return files


if __name__ == "__main__":
    main()
