"""Is the time waiting for data what it is known to be? Pipelines that sleep: known against shown.

    python -m bench.input [--delays 10 30 90]

A data set sleeps before each batch. Alone, the whole delay is waiting. With `prefetch` the step hides its own time,
and what is left to wait for is the delay less that: there the step sleeps too, so that its time is known (in graph
mode: XLA has no such op, and an eager step takes long beside it). Goal: within 10 %. What a busy machine adds to a
sleep before it hands the batch over is waiting as well, but not known: run it on a quiet one.
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
_wish = {"delay_ms": 0.0, "ahead": 0}


class Sleep:
    """Sleeps; `took` has how many milliseconds it really was, each time."""

    def __init__(self) -> None:
        self.took: list[float] = []

    def __call__(self, milliseconds: float) -> None:
        started = time.perf_counter()
        time.sleep(milliseconds / 1000)
        self.took.append((time.perf_counter() - started) * 1000)


class Slow(layers.Layer):  # type: ignore[misc]
    """Takes `work_ms` to hand its input on."""

    def __init__(self, work_ms: float) -> None:
        super().__init__()
        self.work_ms, self.sleep = work_ms, Sleep()

    def call(self, x: Any) -> Any:
        def slowly(values: Any) -> Any:
            self.sleep(self.work_ms)
            return values

        return tf.ensure_shape(tf.numpy_function(slowly, (x,), tf.float32), x.shape)


_making = Sleep()


def pipeline() -> tf.data.Dataset:
    """Batches that take `_wish["delay_ms"]` to make, `_wish["ahead"]` of them prepared beside the step."""

    def slowly(number: Any) -> Any:
        _making(_wish["delay_ms"])
        return np.full((BATCH, WIDTH), number, "float32"), np.zeros(BATCH, "int64")

    def batch(number: Any) -> Any:
        x, y = tf.numpy_function(slowly, (number,), (tf.float32, tf.int64))
        return tf.ensure_shape(x, (BATCH, WIDTH)), tf.ensure_shape(y, (BATCH,))

    options = tf.data.Options()
    options.experimental_optimization.inject_prefetch = False  # TensorFlow would prepare a batch ahead unasked
    batches = tf.data.Dataset.range(1 << 30).map(batch).with_options(options)
    return batches.prefetch(_wish["ahead"]) if _wish["ahead"] else batches


def network(depth: int, first: Slow | None = None) -> keras.Model:
    """Many small layers, whose step tracing changes most; `first` stands before them."""
    inputs = keras.Input((WIDTH,))
    x = first(inputs) if first else inputs
    for _ in range(depth):
        x = layers.Dense(WIDTH, activation="relu")(x)
    model = keras.Model(inputs, layers.Dense(3)(x))
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def run(
    delay_ms: float, depth: int = 60, work_ms: float = 0.0, ahead: int = 0, **options: Any
) -> tuple[ProfileRecord, float]:
    """The profile of a step whose batches take `delay_ms`, and the milliseconds that it is known to wait for them."""
    _wish.update(delay_ms=delay_ms, ahead=ahead)
    _making.took.clear()
    slow = Slow(work_ms) if work_ms else None
    record = profile(network(depth, slow), data=f"{__name__}:pipeline", influence=False, **options)
    hidden = statistics.median(slow.sleep.took) if slow and ahead else 0.0
    return record, max(0.0, statistics.median(_making.took) - hidden)


def waited(record: ProfileRecord) -> float:
    """Milliseconds of the phase `input`."""
    return next(row.ms for row in record.phases if row.phase == "input")


def main() -> None:
    """Print known and shown waiting, per mode and delay."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--delays", type=float, nargs="+", default=[10.0, 30.0, 90.0], help="milliseconds")
    delays = parser.parse_args().delays
    print(f"{'mode':6} {'delay':>8} {'pipeline':9} {'known':>9} {'shown':>9} {'error':>7} {'tracing':>8}")
    for name, mode in MODES.items():
        for delay in delays:
            _print(name, delay, "alone", *run(delay, **mode))
            if name == "graph":
                _print(name, delay, "prefetch", *run(delay, 2, 0.4 * delay, ahead=1, **mode))


def _print(mode: str, delay: float, kind: str, record: ProfileRecord, known: float) -> None:
    shown = waited(record)
    error = shown / known - 1
    print(
        f"{mode:6} {delay:5.0f} ms {kind:9} {known:6.1f} ms {shown:6.1f} ms {error:+7.1%} {record.step.overhead:+8.1%}"
        f"  ≤ {GOAL:.0%} {'met' if abs(error) <= GOAL else 'missed'}",
        flush=True,
    )


if __name__ == "__main__":
    main()
