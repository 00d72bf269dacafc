"""Does a duel tell the truth, for real? And: what noise does this machine have, for the simulation in the tests?

    python -m bench.duel [--runs 10] [--results FILE]
    python -m bench.duel --collect [FILE] [--processes 12] [--only mild shared severe]

The first runs duels while another process keeps a core busy: `--runs` of a network against itself, where no SLOWER or
FASTER may come out, and as many against one with a widened convolution, of which nine in ten have to be SLOWER. That
this one is 10 to 15 % slower is measured first, by a plain loop over `train_on_batch`. A duel takes about a minute;
finished ones are kept in the results file, and a second start goes on from there.

The second writes what pairs of blocks of two identical networks took, process by process: alone on the machine (mild),
with one busy process (shared) and with four that come and go (severe).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tfopt.workload.duel import Contestant, duel
from tfopt.workload.duel.messages import Done, Message, Pair, Task
from tfopt.workload.options import Options
from tfopt.workload.workers.messages import Refused
from tfopt.workload.workers.process import PYTHON, worker

SAMPLES = Path(__file__).resolve().parents[1] / "tests" / "data" / "aa-samples.json"
KEPT = 40  # pairs of a process; noisy ones have more, so that a duel knows more than the simulation
TOLERANCE, FOUND, TRUE_RANGE = 0.05, 0.9, (1.10, 1.15)
# Spins, in turns of `on` seconds with `off` seconds of rest (drawn), until its parent is gone.
BUSY = """
import os, random, sys, time
parent, on, off, rng = os.getppid(), float(sys.argv[1]), float(sys.argv[2]), random.Random(int(sys.argv[3]))
while os.getppid() == parent:
    end = time.monotonic() + (rng.expovariate(1 / on) if off else on)
    while time.monotonic() < end:
        pass
    time.sleep(rng.expovariate(1 / off) if off else 0)
"""
LOADS = {"mild": (), "shared": ((1.0, 0.0),), "severe": ((0.3, 0.15),) * 4}
SAVE = """
import sys
from tfopt.workload.runtime import import_tensorflow
import_tensorflow()
from bench.duel import convolutions
from bench.zoo import ZOO
own = {"plain": convolutions(64), "wider": convolutions(72)}
for name, model in {**own, "cnn": ZOO["cnn"](), "mlp": ZOO["mlp"]()}.items():
    model.save(f"{sys.argv[1]}/{name}.keras")
"""
LONG = """
import sys, statistics, time
from tfopt.workload.runtime import import_tensorflow
import_tensorflow()
import keras, numpy
models = [keras.models.load_model(path) for path in sys.argv[1:]]
rng = numpy.random.default_rng(0)
x, y = rng.standard_normal((32, 48, 48, 3), "float32"), rng.integers(0, 10, 32)
def least(model):
    times = []
    for _ in range(5):
        wall, cpu = time.perf_counter(), time.process_time()
        model.train_on_batch(x, y)
        times.append((time.perf_counter() - wall, time.process_time() - cpu))
    return [min(clock) for clock in zip(*times)]
for _ in range(10):
    blocks = [least(model) for model in models]
ratios = []
for number in range(100):
    first = number % 2
    blocks = {first: least(models[first])}
    blocks[1 - first] = least(models[1 - first])
    ratios.append([slow / fast for slow, fast in zip(blocks[1], blocks[0])])
print(*(statistics.median(clock) for clock in zip(*ratios)))
"""


def convolutions(width: int) -> object:
    """Three convolutions, the middle one with `width` filters."""
    import keras
    from keras import layers

    inputs = keras.Input((48, 48, 3))
    x = inputs
    for filters in (32, width, 64):
        x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        x = layers.MaxPooling2D()(x)
    model = keras.Model(inputs, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


@contextlib.contextmanager
def load(kind: str) -> Iterator[None]:
    """Other work on the machine while the block runs."""
    processes = [
        subprocess.Popen([sys.executable, "-c", BUSY, str(on), str(off), str(seed)])
        for seed, (on, off) in enumerate(LOADS[kind])
    ]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


@contextlib.contextmanager
def models() -> Iterator[Path]:
    """A folder with the models' files, saved by a process of its own: this one holds no TensorFlow."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-c", SAVE, folder], check=True)
        yield Path(folder)


def main() -> None:
    """Run the duels, or collect samples."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--results", type=Path, default=Path(tempfile.gettempdir()) / "tfopt-bench-duel.jsonl")
    parser.add_argument("--collect", type=Path, nargs="?", const=SAMPLES, metavar="FILE")
    parser.add_argument("--processes", type=int, default=12, help="to collect from, per kind of noise and network")
    parser.add_argument("--only", nargs="+", choices=list(LOADS), default=list(LOADS), help="the kinds to collect anew")
    arguments = parser.parse_args()
    with models() as folder:
        if arguments.collect is not None:
            collect(folder, arguments.collect, arguments.processes, arguments.only)
        else:
            run(folder, arguments.runs, arguments.results)


def run(folder: Path, runs: int, results: Path) -> None:
    """`runs` duels of either kind; prints what was wanted, what came and whether that is enough."""
    plain, wider = (str(folder / f"{name}.keras") for name in ("plain", "wider"))
    done = subprocess.run([sys.executable, "-c", LONG, plain, wider], check=True, capture_output=True, text=True)
    wall, cpu = map(float, done.stdout.split()[-2:])
    low, high = TRUE_RANGE
    truly = f"1.10 to 1.15 wanted, {cpu:.3f} by CPU time, {wall:.3f} by wall time"
    print(f"the wider network against the plain one, train_on_batch: {truly}  {_met(low <= cpu <= high)}", flush=True)
    arms = {"identical": plain, "slower": wider}
    kept = [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []
    verdicts = {kind: [line["verdict"] for line in kept if line["kind"] == kind] for kind in arms}
    with load("shared"), results.open("a") as lines:
        for number in range(runs):
            for kind, model in arms.items():
                if len(verdicts[kind]) <= number:
                    line = _one(kind, plain, model, number)
                    verdicts[kind].append(line["verdict"])
                    lines.write(json.dumps(line) + "\n")
                    lines.flush()
    alarms = sum(verdict in ("SLOWER", "FASTER") for verdict in verdicts["identical"][:runs])
    found = verdicts["slower"][:runs].count("SLOWER")
    print(f"identical: SLOWER or FASTER wanted 0, measured {alarms} of {runs}  {_met(alarms == 0)}")
    print(
        f"slower: SLOWER wanted {FOUND * runs:.0f} or more, measured {found} of {runs}  {_met(found >= FOUND * runs)}"
    )


def _met(good: bool) -> str:
    return "met" if good else "MISSED"


def _one(kind: str, baseline: str, arm: str, number: int) -> dict[str, object]:
    started = time.monotonic()
    outcome = duel(
        Contestant("plain", baseline, Options()), [Contestant(kind, arm, Options())], tolerance=TOLERANCE, seed=number
    )
    result = outcome.results[0]
    shown = {"kind": kind, "run": number, "verdict": result.verdict, "clock": result.clock}
    shown["seconds"] = round(time.monotonic() - started)
    for clock, interval in (("wall", result.wall), ("cpu", result.cpu)):
        if interval is not None:
            shown[clock] = [
                round(value, 4) if value else None for value in (interval.ratio, interval.low, interval.high)
            ]
            shown["processes"] = interval.processes
    print(json.dumps(shown), flush=True)
    return shown


def collect(folder: Path, file: Path, processes: int, kinds: list[str]) -> None:
    """Write the samples: kind → network → process → pair → µs per step of A and of A', each by wall and CPU clock."""
    samples = json.loads(file.read_text()) if file.exists() else {}
    for kind in kinds:
        samples[kind] = {"cnn": [], "mlp": []}
        for number in range(processes):
            for name, taken in samples[kind].items():
                with load(kind):
                    taken.append(_pairs(str(folder / f"{name}.keras"), f"{kind} {number}"))
                print(f"{kind} {number} {name}: {len(taken[-1])} pairs, load", *os.getloadavg(), flush=True)
            file.write_text(json.dumps(samples, separators=(",", ":")).replace("]],[[", "]],\n[["))


def _pairs(model: str, seed: str) -> list[list[int]]:
    one, other = (Contestant(label, model, Options()) for label in ("one", "other"))
    pairs = []
    task = Task(one, (other,), pairs=6, precision=0.02, pair_seconds=15, seed=seed)
    with worker(task, (*PYTHON, "tfopt.workload.duel.worker"), Message) as child:
        while not isinstance(message := child.receive(time.monotonic() + 300), Done):
            if isinstance(message, Refused | None):
                sys.exit(f"no samples: {message}")
            if isinstance(message, Pair):
                pairs.append([round(time * 32 * 1000) for time in (*message.baseline, *message.arm)])
    return pairs[:KEPT]


if __name__ == "__main__":
    main()
