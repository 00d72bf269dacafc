"""Are the machine's roofs what a plain script measures, and does every layer stay under them?

    python -m bench.roofline [--rounds 7] [--models mlp,cnn,…] [--roofs-only]

1. In turns in one process: tfopt's measurement, and a script of its own that multiplies matrices in a `tf.function`
   and adds arrays with numpy on as many threads. The best of each, of the bandwidth the median. Wanted: within 10 % of
   one another.
2. A layer of growing size between two others, forward: the share of its roof that it reaches, and what it is bound by.
   Wanted: the smallest overhead, the largest as its kind (that is where the threshold of docs/roofline.md comes from).
3. Every model of the zoo: no layer computes faster than 1.1 times the peak of its dtype.

It takes about three minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

GOAL, ABOVE = 0.10, 1.1

BOTH = """
import json, os, sys, threading, time
from tfopt.workload.runtime import import_tensorflow
import_tensorflow()
import numpy as np, tensorflow as tf
from tfopt.workload.device import place
from tfopt.workload.machine import measure_machine

def seconds(run, at_least):
    times, ends = [], time.perf_counter() + at_least
    run()
    while time.perf_counter() < ends:
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return sorted(times)

def plain():
    rates = {}
    for dtype in ("float32", "bfloat16", "float16"):
        for n in (1500, 3000):
            a, b = (tf.cast(tf.random.normal((n, n)), dtype) for _ in range(2))
            f = tf.function(lambda a=a, b=b: tf.reduce_sum(a @ b), autograph=False)
            f()
            rates[dtype] = max(rates.get(dtype, 0), 2 * n**3 / seconds(lambda: f().numpy(), 0.5)[0] / 1e9)
    times = seconds(add, 1.0)
    rates["memory"] = 3 * sum(x.nbytes for x, _ in parts) / times[len(times) // 2] / 1e9
    return rates

def add():
    running = [threading.Thread(target=np.add, args=(x, y, x)) for x, y in parts]
    [thread.start() for thread in running]
    [thread.join() for thread in running]

def tfopt():
    machine = measure_machine(place("cpu"))
    return {**machine.peak_gflops, "memory": machine.bandwidth_gb_per_s}

threads = len(os.sched_getaffinity(0))
parts = [(np.ones(2**25 // threads, "f4"), np.ones(2**25 // threads, "f4")) for _ in range(threads)]
print(json.dumps([{"plain": plain(), "tfopt": tfopt()} for _ in range(int(sys.argv[1]))]))
"""


def main() -> None:
    """Print the three tables and whether each is as wanted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--models", default="")
    parser.add_argument("--roofs-only", action="store_true")
    options = parser.parse_args()
    roofs(options.rounds)
    if options.roofs_only:
        return
    with tempfile.TemporaryDirectory() as cache:
        os.environ["TFOPT_CACHE_DIR"] = cache  # nobody's old measurement
        sizes()
        zoo([name for name in options.models.split(",") if name])


def roofs(rounds: int) -> None:
    """The roofs, measured in two ways: peaks are the best of all rounds, the bandwidth, which changes, their median."""
    found: list[dict[str, dict[str, float]]] = json.loads(_output(BOTH, str(rounds)))
    print(f"{'roof':10} {'tfopt':>8} {'plain':>8}   wanted within {GOAL:.0%}")
    for what in found[0]["plain"]:
        of_all = statistics.median if what == "memory" else max
        tfopt, plain = (of_all([both[who][what] for both in found]) for who in ("tfopt", "plain"))
        off = tfopt / plain - 1
        print(f"{what:10} {tfopt:8.1f} {plain:8.1f} {off:+7.1%}   {_met(abs(off) <= GOAL)}")


def sizes() -> None:
    """One layer between two others, by size."""
    from tfopt.workload.runtime import import_tensorflow

    import_tensorflow()
    import keras

    import tfopt

    def dense(size: int) -> tuple[keras.Layer, tuple[int, ...]]:
        return keras.layers.Dense(size, name="probe"), (size,)

    def norm(size: int) -> tuple[keras.Layer, tuple[int, ...]]:
        return keras.layers.BatchNormalization(name="probe"), (4, 4, size)

    def conv(size: int) -> tuple[keras.Layer, tuple[int, ...]]:
        return keras.layers.Conv2D(size, 3, padding="same", name="probe"), (16, 16, size)

    kinds: tuple[tuple[Callable[[int], tuple[keras.Layer, tuple[int, ...]]], tuple[int, ...], str], ...] = (
        (dense, (8, 64, 512, 4096), "compute"),
        (norm, (1, 64, 2048, 16384), "memory"),
        (conv, (4, 16, 64, 256), "compute"),
    )
    print(f"\n{'layer':8} {'size':>5} {'ms':>8} {'GFLOP/s':>8} {'of roof':>8}  bound by")
    for kind, numbers, wanted in kinds:
        bounds = []
        for size in numbers:
            layer, shape = kind(size)
            inputs = keras.Input(shape)
            x = keras.layers.Activation("tanh")(layer(keras.layers.Activation("tanh")(inputs)))
            record = tfopt.profile(keras.Model(inputs, x), mode="infer", batch_size=32, steps=30)
            row = next(row for row in record.layers if row.path.endswith("/probe"))
            bounds.append(row.bound)
            rates = f"{row.gflops_per_s or 0:8.2f} {row.roof_share or 0:8.1%}"
            print(f"{kind.__name__:8} {size:5} {row.self_ms:8.3f} {rates}  {row.bound}")
        met = bounds[0] == "overhead" and bounds[-1] == wanted
        print(f"{kind.__name__:8} wanted: overhead first, {wanted} last   {_met(met)}")


def zoo(names: list[str]) -> None:
    """Every layer of every model against its roof."""
    import tfopt
    from bench.zoo import ZOO

    print(f"\n{'model':14} {'GFLOP/s':>8} {'fastest layer, of the peak':>46}  {'nearest to its roof':>46}")
    worst = 0.0
    for name in names or ZOO:
        record = tfopt.profile(ZOO[name](), batch_size=16, steps=20)
        if record.machine is None:
            raise SystemExit("the machine's roofs could not be measured")
        peak = record.machine.peak_gflops[record.run.precision]
        rows = [row for row in record.layers if row.gflops_per_s is not None and row.roof_share is not None]
        fastest = max(rows, key=lambda row: row.gflops_per_s or 0.0)
        nearest = max(rows, key=lambda row: row.roof_share or 0.0)
        share = (fastest.gflops_per_s or 0.0) / peak
        worst = max(worst, share)
        total = sum(row.flops or 0 for row in record.layers) / record.step.median_ms / 1e6
        bounds = Counter(row.bound for row in rows)
        print(
            f"{name:14} {total:8.1f} {fastest.path[-36:]:>38} {share:7.1%}  {nearest.path[-36:]:>38} "
            f"{nearest.roof_share:7.1%} ({nearest.bound})   {dict(bounds)}"
        )
    print(f"fastest layer of all: {worst:.1%} of the peak   wanted at most {ABOVE:.0%}   {_met(worst <= ABOVE)}")


def _output(code: str, *arguments: str) -> str:
    root = str(Path(__file__).resolve().parent.parent)
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": root},
    )
    return done.stdout.splitlines()[-1]


def _met(met: bool) -> str:
    return "met" if met else "MISSED"


if __name__ == "__main__":
    main()
