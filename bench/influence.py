"""What does influence cost? Its passes against a training step of batch 32, by CPU time, in turns in one process.

    python -m bench.influence [--rounds 7] [--only PART …]

Parts: `resnet50` (96 px) and `mlp` (784, 4 × 1024, 10): one pass of path weights with what it reads out, the same with
its certificates, each a median of ratios to a plain compiled step with SGD; the first call, tracing included, against
that of the step; what a pass adds to the memory in use. `growth`: path weights of MLPs of half a million to 50 million
parameters; the slope of the logarithms (1: linear). `summary`: all that a profile adds for influence, against compiling
its step. `bench.relevance` has contributions on data.
"""

from __future__ import annotations

import argparse
import functools
import statistics
import time
from collections.abc import Callable
from typing import Any

from tfopt.workload.runtime import import_tensorflow

import_tensorflow()

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

from tfopt.model.load import given  # noqa: E402
from tfopt.pathways.certificates import path_certificates  # noqa: E402
from tfopt.pathways.path_weights import ones, path_sums  # noqa: E402
from tfopt.pathways.plan import Plan  # noqa: E402
from tfopt.profiling.influence_summary import influence_summary, kept_weights  # noqa: E402
from tfopt.report.progress import silent  # noqa: E402
from tfopt.workload.device import place  # noqa: E402
from tfopt.workload.options import Options  # noqa: E402
from tfopt.workload.peak.measure import added_bytes  # noqa: E402
from tfopt.workload.prepared import prepared  # noqa: E402

BATCH = 32
GOALS = {"resnet50": 0.35, "mlp": 0.8}
FIRST, SLOPE, SUMMARY = 2.0, 1.1, 1.0
PARTS = ("resnet50", "mlp", "growth", "summary")


def main() -> None:
    """Print wanted and measured, line by line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", nargs="*", choices=PARTS, default=PARTS)
    arguments = parser.parse_args()
    for name in (part for part in MODELS if part in arguments.only):
        against_a_step(name, arguments.rounds)
    if "growth" in arguments.only:
        growth(arguments.rounds)
    if "summary" in arguments.only:
        summary()


def summary() -> None:
    """What `tfopt profile` adds for influence, against compiling the step that it profiles: both are first calls."""
    for name in ("MobileNetV2", "ResNet50"):
        model = getattr(keras.applications, name)(weights=None, input_shape=(96, 96, 3), classes=10)
        workload = prepared(given(model), Options("train", BATCH), place("cpu"))
        first = seconds(lambda: workload.step(*workload.batch.arguments))  # noqa: B023
        later = seconds(lambda: workload.step(*workload.batch.arguments))  # noqa: B023
        weights = kept_weights(model)
        started = time.process_time()
        influence_summary(workload, weights, silent)
        added = time.process_time() - started
        print(f"summary   {name}: compiling the step takes {first - later:.1f} s of CPU, the summary {added:.1f} s")
        line("summary", f"of influence, {name} / compiling the step", SUMMARY, added / (first - later))


def mlp(width: int, depth: int) -> keras.Model:
    """Dense layers with ReLU, 784 to `depth` times `width` to 10."""
    hidden = [keras.layers.Dense(width, activation="relu") for _ in range(depth)]
    return keras.Sequential([keras.Input((784,)), *hidden, keras.layers.Dense(10)])


MODELS: dict[str, Callable[[], keras.Model]] = {
    "resnet50": lambda: keras.applications.ResNet50(
        weights=None, input_shape=(96, 96, 3), classes=1000, classifier_activation=None
    ),
    "mlp": lambda: mlp(1024, 4),
}


def against_a_step(name: str, rounds: int) -> None:
    """Everything that is measured against a training step of one model."""
    model = MODELS[name]()
    x = tf.random.normal((BATCH, *model.input_shape[1:]))
    y = tf.random.uniform((BATCH,), 0, model.output_shape[-1], tf.int32)
    step = plain_step(model)
    step_first = seconds(lambda: step(x, y))
    runs: dict[str, Callable[[], Any]] = {}
    firsts, memory = {}, {}

    started = time.process_time()
    inputs = ones(model)
    surrogate, _, _ = path_sums(model, Plan(True), inputs, top=20)
    runs["path weights"] = lambda: surrogate.run(inputs)
    firsts["path weights"] = time.process_time() - started
    runs["with certificates"] = lambda: path_certificates(surrogate, inputs, surrogate.run(inputs))
    for key, run in runs.items():
        with added_bytes("CPU:0") as added:
            run()
        memory[key] = added.bytes
    times = {key: ratios(run, lambda: step(x, y), rounds) for key, run in runs.items()}
    print(f"{name}: a step takes {times['path weights'][1] * 1e3:.0f} ms of CPU, its first call {step_first:.1f} s")
    line(name, "path weights / step", GOALS[name], times["path weights"][0])
    line(name, "path weights with certificates / step", None, times["with certificates"][0])
    line(name, "first call / the step's", FIRST, firsts["path weights"] / step_first)
    for key, found in memory.items():
        print(f"{name:10}{'memory of ' + key:40} {'':>10} {0 if found is None else found / 1e6:8.0f} MB")


def growth(rounds: int) -> None:
    """Path weights of MLPs of growing width: seconds against parameters."""
    sizes, times = [], []
    for width in (256, 512, 1024, 2048, 3400):
        model = mlp(width, 5)
        inputs = ones(model)
        surrogate, _, _ = path_sums(model, Plan(True), inputs, top=20)
        run = functools.partial(surrogate.run, inputs)
        times.append(statistics.median(seconds(run) for _ in range(rounds)))
        sizes.append(model.count_params())
        each = times[-1] / sizes[-1] * 1e9
        print(f"growth    {sizes[-1] / 1e6:6.1f} M parameters {times[-1] * 1e3:9.1f} ms {each:7.2f} ns each")
    slope = float(np.polyfit(np.log(sizes), np.log(times), 1)[0])
    line("growth", "slope of log seconds over log parameters", SLOPE, slope)


def plain_step(model: keras.Model) -> Callable[[Any, Any], Any]:
    """A compiled training step with SGD, without any of tfopt's code."""
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = keras.optimizers.SGD(1e-6)
    optimizer.build(model.trainable_variables)

    @tf.function(autograph=False)
    def step(x: Any, y: Any) -> Any:
        with tf.GradientTape() as tape:
            value = loss(y, model(x, training=True))
        optimizer.apply(tape.gradient(value, model.trainable_variables), model.trainable_variables)
        return value

    return step


def seconds(run: Callable[[], Any]) -> float:
    """CPU seconds of a call, until its results are there."""
    started = time.process_time()
    keras.tree.map_structure(lambda leaf: leaf.numpy() if tf.is_tensor(leaf) else leaf, run())
    return time.process_time() - started


def ratios(run: Callable[[], Any], step: Callable[[], Any], rounds: int) -> tuple[float, float]:
    """The median ratio of a run to a step, in turns, and the median of the step."""
    seconds(run), seconds(step)
    pairs = [(seconds(run), seconds(step)) for _ in range(rounds)]
    return statistics.median(ours / theirs for ours, theirs in pairs), statistics.median(each for _, each in pairs)


def line(part: str, what: str, wanted: float | None, measured: float) -> None:
    """One goal."""
    goal, verdict = ("", "") if wanted is None else (f"≤ {wanted:.2f}", "met" if measured <= wanted else "MISSED")
    print(f"{part:10}{what:40} {goal:>10} {measured:8.2f}   {verdict}")


if __name__ == "__main__":
    main()
