"""Is the time waiting for data what it is known to be? Pipelines that sleep: known against shown.

    python -m bench.input [--delays 10 30 90]

A data set sleeps before each batch. Alone, the whole delay is waiting; with `prefetch` the step hides its own time,
and what is left to wait for is the delay less that. Goal: within 10 % of it.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

from tfopt.workload.runtime import import_tensorflow

import_tensorflow()

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
from keras import layers  # noqa: E402

from tfopt.profiling.profile import profile  # noqa: E402
from tfopt.records.profile import ProfileRecord  # noqa: E402

GOAL = 0.10
MODES: dict[str, dict[str, bool]] = {"graph": {}, "xla": {"xla": True}, "eager": {"eager": True}}
BATCH, WIDTH = 64, 32
_wish = {"delay_s": 0.0, "ahead": 0}
_made: list[float] = []  # milliseconds that each batch really took


def pipeline() -> tf.data.Dataset:
    """Batches that take `_wish["delay_s"]` to make, `_wish["ahead"]` of them prepared beside the step."""

    def slowly(number: Any) -> Any:
        started = time.perf_counter()
        time.sleep(_wish["delay_s"])
        _made.append((time.perf_counter() - started) * 1000)
        return np.full((BATCH, WIDTH), number, "float32"), np.zeros(BATCH, "int64")

    def batch(number: Any) -> Any:
        x, y = tf.numpy_function(slowly, (number,), (tf.float32, tf.int64))
        return tf.ensure_shape(x, (BATCH, WIDTH)), tf.ensure_shape(y, (BATCH,))

    options = tf.data.Options()
    options.experimental_optimization.inject_prefetch = False  # TensorFlow would prepare a batch ahead unasked
    batches = tf.data.Dataset.range(1 << 30).map(batch).with_options(options)
    return batches.prefetch(_wish["ahead"]) if _wish["ahead"] else batches


def network(depth: int, first: Any = None) -> keras.Model:
    """Many small layers, whose step tracing changes most; `first` stands before them."""
    inputs = keras.Input((WIDTH,))
    x = inputs if first is None else first(inputs)
    for _ in range(depth):
        x = layers.Dense(WIDTH, activation="relu")(x)
    model = keras.Model(inputs, layers.Dense(3)(x))
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def run(model: keras.Model, delay_ms: float, ahead: int, **options: Any) -> tuple[ProfileRecord, float]:
    """The profile of a step whose batches take `delay_ms`, and the milliseconds that they really took."""
    _wish.update(delay_s=delay_ms / 1000, ahead=ahead)
    _made.clear()
    record = profile(model, data=f"{__name__}:pipeline", **options)
    return record, statistics.median(_made)


def waited(record: ProfileRecord) -> float:
    """Milliseconds of the phase `input`."""
    return next(row.ms for row in record.phases if row.phase == "input")


def main() -> None:
    """Print known and shown waiting, per mode and delay."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--delays", type=float, nargs="+", default=[10.0, 30.0, 90.0], help="milliseconds")
    delays = parser.parse_args().delays
    print(f"{'mode':6} {'asked':>8} {'pipeline':>9} {'known':>9} {'shown':>9} {'error':>7} {'tracing':>8}")
    for name, mode in MODES.items():
        for delay in delays:
            alone, made = run(network(60), delay, 0, **mode)
            ahead, made_beside = run(network(60), delay, 1, **mode)
            work = alone.step.median_ms - made
            for kind, record, known in (("alone", alone, made), ("prefetch", ahead, max(0.0, made_beside - work))):
                print(f"{name:6} {delay:5.0f} ms {kind:>9} {_line(record, known, delay)}", flush=True)


def _line(record: ProfileRecord, known: float, delay: float) -> str:
    shown, tracing = waited(record), record.step.overhead
    line = f"{known:6.1f} ms {shown:6.1f} ms"
    if known < 0.2 * delay:  # what is left over is the noise of two other times
        return f"{line} {'':7} {tracing:+8.1%}"
    error = shown / known - 1
    return f"{line} {error:+7.1%} {tracing:+8.1%}  ≤ {GOAL:.0%} {'met' if abs(error) <= GOAL else 'missed'}"


if __name__ == "__main__":
    main()
