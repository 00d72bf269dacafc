"""Do inputs and biases add up to the result on real networks, in what time, and is it the model's own result?

    python -m bench.relevance [--only NAME ...] [--cost [--rounds 7]]

1. Networks of `keras.applications` at 64 px with random weights, statistics and biases, each in a process of its own:
   the unattributed part of inputs + biases = result (wanted: 1e-6 in float64), and how far the mean result is from the
   model's own, in float32 (wanted: 1e-3).
2. `--cost`: a pass against a training step of batch 32, in turns in one process: ResNet50 at 96 px and an MLP 4×1024.
   Wanted: 1.3 × in float32, 3.2 × in float64; the first pass at most twice the step's first call.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

from tfopt.workload.runtime import import_tensorflow

import_tensorflow()

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

from tfopt.pathways.plan import Plan  # noqa: E402
from tfopt.pathways.relevance import contributions, relevance  # noqa: E402

NETWORKS = ("ResNet50", "MobileNetV2", "EfficientNetB0", "ConvNeXtTiny")
UNATTRIBUTED, APART = 1e-6, 1e-3
COSTS = {"float32": 1.3, "float64": 3.2}
FIRST = 2.0
PIXELS, SAMPLES = 64, 4


def main() -> None:
    """Print a line per network or cost, with what is wanted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=NETWORKS)
    parser.add_argument("--cost", action="store_true")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(_attributed(arguments.one)))
    elif arguments.cost:
        _costs("MLP 4x1024, batch 32", _mlp(), (784,), arguments.rounds)
        network = keras.applications.ResNet50(weights=None, input_shape=(96, 96, 3), classes=10)
        _costs("ResNet50 96 px, batch 32", network, (96, 96, 3), arguments.rounds)
    else:
        for name in arguments.only:
            _show(name)


def _show(name: str) -> None:
    command = [sys.executable, "-m", "bench.relevance", "--one", name]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=1200)
    if done.returncode:
        print(f"{name:16} failed: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")
        return
    row = json.loads(done.stdout.splitlines()[-1])
    _line(f"{name} unattributed", abs(row["unattributed"]), UNATTRIBUTED)
    _line(f"{name} result beside the model's own", row["apart"], APART)
    print(
        f"    inputs {row['inputs']:.3f}, biases {row['biases']:.3f}, cancellation {row['cancellation']:.0f}",
        flush=True,
    )


def _line(what: str, measured: float, wanted: float) -> None:
    verdict = "met" if measured <= wanted else "missed"
    print(f"{what:46} wanted {wanted:.3g}, measured {measured:.3g}: {verdict}", flush=True)


def _attributed(name: str) -> dict[str, float]:
    keras.utils.set_random_seed(0)
    network = getattr(keras.applications, name)
    model = network(weights=None, input_shape=(PIXELS, PIXELS, 3), classes=10, classifier_activation=None)
    rng = np.random.default_rng(0)
    for weight in model.weights:
        if weight.name in ("gamma", "moving_variance"):
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))
        elif weight.name in ("beta", "moving_mean", "bias"):
            weight.assign(rng.normal(size=weight.shape) * 0.1)
    x = rng.uniform(0, 255, (SAMPLES, PIXELS, PIXELS, 3)).astype("float32")
    report = relevance(model, x)
    own = float(np.asarray(model(x, training=False)).max(-1).mean())
    return {
        "unattributed": report.unattributed,
        "apart": abs((report.result_mean or 0.0) / own - 1),
        "inputs": report.inputs,
        "biases": report.biases,
        "cancellation": report.cancellation,
    }


def _mlp() -> Any:
    hidden = [keras.layers.Dense(1024, "relu") for _ in range(4)]
    return keras.Sequential([keras.Input((784,)), *hidden, keras.layers.Dense(10, "softmax")])


def _costs(name: str, model: Any, shape: tuple[int, ...], rounds: int) -> None:
    rng = np.random.default_rng(0)
    x, y = tf.constant(rng.normal(size=(32, *shape)), tf.float32), tf.constant(rng.integers(0, 10, 32))
    model.compile("sgd", "sparse_categorical_crossentropy")
    counted = tf.ones(32, tf.float64)
    runs: dict[str, Callable[[], Any]] = {"step": lambda: model.train_on_batch(x, y)}
    for dtype in COSTS:
        surrogate = contributions(model, Plan(free=False, dtype=dtype))
        runs[dtype] = lambda surrogate=surrogate: surrogate.run(x, counted)
    first = {kind: _seconds(run) for kind, run in runs.items()}
    times: dict[str, list[float]] = {kind: [] for kind in runs}
    for _ in range(rounds):
        for kind, run in runs.items():
            times[kind].append(_seconds(run))
    for dtype, wanted in COSTS.items():
        ratio = median(mine / step for mine, step in zip(times[dtype], times["step"], strict=True))
        _line(f"{name}, {dtype}", ratio, wanted)
        _line(f"{name}, {dtype}, first pass", first[dtype] / first["step"], FIRST)


def _seconds(run: Callable[[], Any]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
