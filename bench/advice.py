"""Does following advice gain what it says? For each rule that can be verified here: expected against measured.

    python -m bench.advice [--only RULE …] [--markdown] [--rounds 40]

A small model that has the problem is profiled, and the rule's expected gain taken from the record. Then the model and
the one with the advice followed run in turns in this process; the gain is 1 − the ratio of the medians of their times
per example. `met`: the measured gain lies within the expected range, or is at least what it says, give or take 0.05.
Run it on a quiet machine.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tfopt.workload.runtime import import_tensorflow

import_tensorflow()

import keras  # noqa: E402
import tensorflow as tf  # noqa: E402
from keras import layers  # noqa: E402

from bench.zoo import ZOO  # noqa: E402
from tfopt.profiling.profile import profile  # noqa: E402
from tfopt.records.advice import Advice  # noqa: E402
from tfopt.workload.device import place  # noqa: E402
from tfopt.workload.options import Options  # noqa: E402
from tfopt.workload.scope_names import usable_scopes  # noqa: E402
from tfopt.workload.timing import finished  # noqa: E402
from tfopt.workload.workload import Runner, prepare  # noqa: E402

HERE = "bench.advice"
TOLERANCE = 0.05
WARM_UP = 3
SECONDS = 20.0  # for the rounds of one case, at most
Build = Callable[[], keras.Model]


@dataclass(frozen=True)
class Arm:
    """A model and how it runs."""

    build: Build
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """A rule, a step that has its problem, and the same with the advice followed."""

    rule: str
    problem: Arm
    followed: Arm
    what: str


def model(inputs: Any, outputs: Any, optimizer: str = "adam") -> keras.Model:
    made = keras.Model(inputs, outputs)
    made.compile(optimizer, "mse")
    return made


def dense(width: int = 1024, depth: int = 3, inputs: int = 256, optimizer: str = "adam", **arguments: Any) -> Build:
    """A chain of Dense layers."""

    def build() -> keras.Model:
        x = start = keras.Input((inputs,))
        for _ in range(depth):
            x = layers.Dense(width, **arguments)(x)
        return model(start, layers.Dense(8)(x), optimizer)

    return build


def depthwise() -> keras.Model:
    x = start = keras.Input((32, 32, 32))
    for _ in range(2):
        x = layers.DepthwiseConv2D(3, padding="same", activation="relu")(x)
        x = layers.Conv2D(32, 1)(x)
    return model(start, layers.GlobalAveragePooling2D()(x))


def dropped() -> keras.Model:
    """Dropout on tensors of three shapes."""
    x = start = keras.Input((256,))
    for width in (512, 384, 256):
        x = layers.Dropout(0.3)(layers.Dense(width, activation="relu")(x))
    return model(start, layers.Dense(8)(x))


def widened(activation: str) -> Build:
    """A product of few numbers, and an activation of many."""
    return dense(1024, 1, 32, activation=activation)


def pooled() -> keras.Model:
    x = start = keras.Input((64, 64, 16))
    for _ in range(2):
        x = layers.Conv2D(16, 1, activation="relu")(x)
        x = layers.MaxPooling2D()(x)
    return model(start, layers.GlobalAveragePooling2D()(x))


def grouped(groups: int, split: bool) -> Build:
    """A grouped convolution, as one layer or as one per group."""

    def build() -> keras.Model:
        x = start = keras.Input((24, 24, 32))
        x = layers.Conv2D(32, 3, padding="same")(x)
        if split:
            size = 32 // groups
            parts = [x[..., at : at + size] for at in range(0, 32, size)]
            x = layers.Concatenate()([layers.Conv2D(size, 3, padding="same")(part) for part in parts])
        else:
            x = layers.Conv2D(32, 3, padding="same", groups=groups)(x)
        return model(start, layers.GlobalAveragePooling2D()(x))

    return build


def tanh(x: Any) -> Any:
    up, down = tf.exp(x), tf.exp(-x)
    return (up - down) / (up + down)


class Squash(layers.Layer):  # type: ignore[misc]
    """tanh, run by Python or in the graph."""

    def __init__(self, python: bool) -> None:
        super().__init__()
        self.python = python

    def call(self, x: Any) -> Any:
        if not self.python:
            return tanh(x)
        return tf.ensure_shape(tf.py_function(tanh, (x,), tf.float32), x.shape)


def squashed(python: bool) -> Build:
    def build() -> keras.Model:
        start = keras.Input((512,))
        x = Squash(python)(layers.Dense(512)(start))
        return model(start, layers.Dense(512)(x))

    return build


def twice(repeated: bool) -> Build:
    """A layer that is called twice on one tensor, or once."""

    def build() -> keras.Model:
        start = keras.Input((512,))
        shared = layers.Dense(1024)
        first = shared(start)
        x = layers.Concatenate()([first, shared(start) if repeated else first])
        return model(start, layers.Dense(8)(x))

    return build


def turned(permuted: bool) -> Build:
    """A ReLU on channels first or last, between convolutions."""

    def build() -> keras.Model:
        x = start = keras.Input((32, 32, 16))
        for _ in range(2):
            x = layers.Conv2D(32, 3, padding="same")(x)
            x = layers.Permute((3, 1, 2))(x) if permuted else x
            x = layers.Activation("tanh")(x)
            x = layers.Permute((2, 3, 1))(x) if permuted else x
        return model(start, layers.GlobalAveragePooling2D()(x))

    return build


def recurrent(unroll: bool) -> Build:
    def build() -> keras.Model:
        start = keras.Input((20, 32))
        return model(start, layers.Dense(8)(layers.LSTM(64, unroll=unroll)(start)))

    return build


def checkered(other: str) -> Build:
    """Layers that compute in float32, every other one in `other`."""

    def build() -> keras.Model:
        x = start = keras.Input((1024,))
        for number in range(6):
            x = layers.Activation("relu", dtype=other if number % 2 else "float32")(x)
        return model(start, layers.Dense(8, dtype="float32")(x))

    return build


def _batches(prefetch: bool) -> Any:
    def slow(number: Any) -> Any:
        tf.numpy_function(lambda: time.sleep(0.01), (), [])
        return tf.zeros((64, 256)) + tf.cast(number, tf.float32), tf.zeros((64, 8))

    data = tf.data.Dataset.range(1_000_000).map(slow)
    return data.prefetch(4) if prefetch else data


def waiting() -> Any:
    """Batches that take 10 ms each, made when they are asked for."""
    return _batches(False)


def prefetched() -> Any:
    """The same, made while the step runs."""
    return _batches(True)


def arms(build: Build, problem: dict[str, Any], followed: dict[str, Any]) -> tuple[Arm, Arm]:
    return Arm(build, problem), Arm(build, followed)


def pair(problem: Build, followed: Build, **options: Any) -> tuple[Arm, Arm]:
    return Arm(problem, options), Arm(followed, options)


XLA, GRAPH = {"xla": True}, {"xla": False}
BFLOAT16 = {"precision": "mixed_bfloat16"}
CASES = (
    Case("xla-depthwise", *arms(depthwise, XLA, GRAPH), "graph instead of XLA"),
    Case("xla-random", *arms(dropped, XLA, GRAPH), "graph instead of XLA"),
    Case("xla-max-pool", *arms(pooled, XLA, GRAPH), "graph instead of XLA"),
    Case("xla-may-help", *arms(ZOO["nested_shared"], {"batch_size": 4}, {"batch_size": 4, **XLA}), "XLA"),
    Case("grouped-convolution", *pair(grouped(4, False), grouped(4, True)), "one Conv2D per group"),
    Case("bfloat16-possible", *arms(dense(), {"batch_size": 256}, {"batch_size": 256, **BFLOAT16}), "mixed_bfloat16"),
    Case("half-unsupported", *arms(ZOO["cnn"], {"precision": "mixed_float16"}, BFLOAT16), "mixed_bfloat16"),
    Case("many-casts", *pair(checkered("bfloat16"), checkered("float32"), batch_size=1024), "float32 throughout"),
    Case("float64", *pair(dense(dtype="float64"), dense(), batch_size=128), "float32"),
    Case("input-bound", *arms(dense(512), {"data": f"{HERE}:waiting"}, {"data": f"{HERE}:prefetched"}), "prefetch"),
    Case("small-batch", *arms(dense(64), {"batch_size": 8}, {"batch_size": 32}), "batch 32 instead of 8"),
    Case("optimizer-share", *arms(dense(), {"batch_size": 16}, {"batch_size": 64}), "batch 64 instead of 16"),
    Case("python-functions", *pair(squashed(True), squashed(False), batch_size=256), "in the graph"),
    Case("eager", *arms(ZOO["mlp"], {"eager": True}, GRAPH), "graph instead of eager"),
    Case("dense-embedding-update", *arms(ZOO["embeddings"], {}, {"optimizer": "sgd"}), "SGD instead of Adam"),
    Case("repeated-work", *pair(twice(True), twice(False), batch_size=256), "called once"),
    Case("needless-transposes", *pair(turned(True), turned(False)), "no transposes"),
    Case("recurrent-loop", *pair(recurrent(False), recurrent(True)), "unroll=True"),
    Case("dear-activation", *pair(widened("gelu"), widened("relu"), batch_size=256), "relu instead of gelu"),
)


def runner(arm: Arm) -> Runner:
    """The arm's step, warm."""
    keras.utils.set_random_seed(0)
    with usable_scopes():
        run = prepare(arm.build(), Options(**arm.options), place("cpu")).runner()
    for _ in range(WARM_UP):
        finished(run())
    return run


def per_example(run: Runner) -> tuple[float, float]:
    """Seconds of one step by both clocks (wall, CPU), per example."""
    before = run.examples
    wall, cpu = time.perf_counter(), time.process_time()
    finished(run())
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return wall / (run.examples - before), cpu / (run.examples - before)


def measured(case: Case, rounds: int) -> tuple[float, float]:
    """The gain of following the advice by wall and by CPU time, from steps in turns."""
    runners = [runner(case.problem), runner(case.followed)]
    times: list[list[tuple[float, float]]] = [[], []]
    started = time.perf_counter()
    for number in range(rounds):
        for at in (0, 1) if number % 2 else (1, 0):
            times[at].append(per_example(runners[at]))
        if number >= 5 and time.perf_counter() - started > SECONDS:
            break
    gains = []
    for clock in (0, 1):
        before, after = (statistics.median(pair[clock] for pair in arm) for arm in times)
        gains.append(1 - after / before if before else 0.0)
    return gains[0], gains[1]


def expected(case: Case) -> Advice | None:
    """What the rule says of the step that has its problem; None where it says nothing."""
    keras.utils.set_random_seed(0)
    record = profile(case.problem.build(), **case.problem.options)
    return next((one for one in record.advice if one.id == case.rule), None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=[case.rule for case in CASES])
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall", help="what decides; cpu on a busy machine")
    parser.add_argument("--markdown", action="store_true", help="print the table of docs/advice.md")
    args = parser.parse_args()
    header = ("rule", "advice followed", "expected", "measured", "by CPU time", "met")
    rows = []
    for case in CASES:
        if case.rule not in args.only:
            continue
        advice = expected(case)
        wall, cpu = measured(case, args.rounds)
        met = _met(advice, wall if args.clock == "wall" else cpu)
        rows.append((case.rule, case.what, *_cells(advice, wall), f"{cpu:.0%}", met))
        if not args.markdown:
            print("  ".join(f"{cell:<24}" for cell in rows[-1]), flush=True)
    if args.markdown:
        for row in (header, (":--", ":--", "--:", "--:", "--:", ":--"), *rows):
            print(f"| {' | '.join(row)} |")
    else:
        decided = [row[-1] for row in rows if row[-1] != "–"]
        met = decided.count("yes")
        print(f"wanted: measured within the expected range ± {TOLERANCE:.0%}   met: {met} of {len(decided)}")


def _cells(advice: Advice | None, wall: float) -> tuple[str, str]:
    if advice is None:
        return "rule silent", f"{wall:.0%}"
    if advice.gain_low is None:
        return "not known", f"{wall:.0%}"
    if advice.gain_high is None:
        return f"at least {advice.gain_low:.0%}", f"{wall:.0%}"
    return f"{advice.gain_low:.0%} to {advice.gain_high:.0%}", f"{wall:.0%}"


def _met(advice: Advice | None, wall: float) -> str:
    if advice is None:
        return "no"
    if advice.gain_low is None:
        return "–"
    most = 1.0 if advice.gain_high is None else advice.gain_high
    return "yes" if advice.gain_low - TOLERANCE <= wall <= most + TOLERANCE else "no"


if __name__ == "__main__":
    main()
