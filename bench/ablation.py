"""Does the table predict what happens when a layer is added? One layer of a network is doubled, the table of the plain
network predicts the new step time, and both networks are measured side by side.

    python -m bench.ablation [--rounds 12] [CASE ...]

Per case: the layer's time in the table (`predicted`), the measured difference of the interleaved steps with its 95 %
interval, and their ratio. Wall time, since shares are shares of it; `idle` is the table's, part of which a second
layer adds to as well.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable
from typing import Any

from tfopt.workload.runtime import import_tensorflow

import_tensorflow()

import keras  # noqa: E402
from keras import layers  # noqa: E402

import tfopt  # noqa: E402
from tfopt.workload.device import place  # noqa: E402
from tfopt.workload.options import Options  # noqa: E402
from tfopt.workload.timing import finished, median_interval  # noqa: E402
from tfopt.workload.workload import prepare  # noqa: E402

Builder = Callable[[int], keras.Model]
BLOCK = 3


def _images(inner: Callable[[Any, str], Any], copies: int, channels: int = 32) -> keras.Model:
    inputs = keras.Input((48, 48, channels))
    x = layers.Conv2D(channels, 1, name="before")(inputs)  # so that the layer has a gradient for its input
    for number in range(copies):
        x = inner(x, f"target_copy_{number}" if number else "target")
    x = layers.GlobalAveragePooling2D(name="pool")(layers.Conv2D(32, 3, name="after")(x))
    return keras.Model(inputs, layers.Dense(10, name="logits")(x))


def _sequences(inner: Callable[[Any, str], Any], copies: int) -> keras.Model:
    inputs = keras.Input((64, 128))
    x = layers.Dense(128, name="before")(inputs)
    for number in range(copies):
        x = inner(x, f"target_copy_{number}" if number else "target")
    return keras.Model(inputs, layers.Dense(10, name="logits")(layers.GlobalAveragePooling1D(name="pool")(x)))


def _conv(x: Any, name: str) -> Any:
    return layers.Conv2D(32, 3, padding="same", name=name)(x)


def _conv_relu(x: Any, name: str) -> Any:
    return layers.ReLU(name=f"{name}_act")(layers.Conv2D(32, 3, padding="same", name=name)(x))


CASES: dict[str, Builder] = {
    "conv": lambda copies: _images(_conv, copies),
    "conv + separate relu": lambda copies: _images(_conv_relu, copies),
    "batch norm": lambda copies: _images(lambda x, name: layers.BatchNormalization(name=name)(x), copies),
    "depthwise conv": lambda copies: _images(
        lambda x, name: layers.DepthwiseConv2D(3, padding="same", name=name)(x), copies
    ),
    "dense": lambda copies: _sequences(lambda x, name: layers.Dense(128, name=name)(x), copies),
    "dropout": lambda copies: _sequences(lambda x, name: layers.Dropout(0.3, name=name)(x), copies),
    "layer norm": lambda copies: _sequences(lambda x, name: layers.LayerNormalization(name=name)(x), copies),
    "attention": lambda copies: _sequences(lambda x, name: layers.MultiHeadAttention(4, 32, name=name)(x, x), copies),
    "lstm": lambda copies: _sequences(lambda x, name: layers.LSTM(128, return_sequences=True, name=name)(x), copies),
    "gru": lambda copies: _sequences(lambda x, name: layers.GRU(128, return_sequences=True, name=name)(x), copies),
}


def main() -> None:
    """Print predicted and measured differences."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", default=list(CASES), metavar="CASE")
    parser.add_argument("--rounds", type=int, default=12)
    arguments = parser.parse_args()
    numbers = f"{'step':>9} {'predicted':>10} {'measured':>10}  {'95 % interval':20} ratio   idle"
    print(f"{'layer doubled':22} {'mode':6} {numbers}")
    for name in arguments.cases:
        for xla in (False, True):
            _report(name, xla, arguments.rounds)


def _report(name: str, xla: bool, rounds: int) -> None:
    once, twice = CASES[name](1), CASES[name](2)
    record = tfopt.profile(once, xla=xla, batch_size=16, steps=20)
    rows = [row for row in record.layers if row.path.rpartition("/")[2] in ("target", "target_act")]
    share = sum(row.total_share for row in rows)
    pairs = _interleaved(_runner(once, xla), _runner(twice, xla), rounds)
    difference, low, high = median_interval([second - first for first, second in pairs])
    step = median_interval([first for first, _ in pairs])[0]
    predicted = share * step
    mode = "xla" if xla else "graph"
    print(
        f"{name:22} {mode:6} {step:6.2f} ms {predicted:7.2f} ms {difference:7.2f} ms  [{low:6.2f}, {high:6.2f}] ms"
        f"   {predicted / difference:5.2f} {record.coverage.idle:6.1%}",
        flush=True,
    )


def _runner(model: keras.Model, xla: bool) -> Callable[[], Any]:
    run = prepare(model, Options(xla=xla, batch_size=16), place("cpu")).runner()
    for _ in range(10):
        finished(run())
    return lambda: finished(run())


def _interleaved(first: Callable[[], Any], second: Callable[[], Any], rounds: int) -> list[tuple[float, float]]:
    order, pairs = random.Random(0), []
    for _ in range(rounds):
        times = [0.0, 0.0]
        for side in order.sample((0, 1), 2):
            started = time.perf_counter_ns()
            for _ in range(BLOCK):
                (first, second)[side]()
            times[side] = (time.perf_counter_ns() - started) / 1e6 / BLOCK
        pairs.append((times[0], times[1]))
    return pairs


if __name__ == "__main__":
    main()
