"""What does a look at a model's health cost, beside a training step?

    python -m bench.health

The first run against compiling a training step (CPU seconds, wanted: at most one compile more), later ones against the
step (medians of interleaved runs in one process; wanted: at most 2.5 times).
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from tfopt.workload.runtime import import_tensorflow

import_tensorflow()

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
from keras import layers  # noqa: E402

from tfopt.pathways.health import Checkup  # noqa: E402

RUNS, MOST, COMPILE = 7, 2.5, 1.0


def _mlp() -> keras.Model:
    hidden = [layers.Dense(1024, activation="relu") for _ in range(4)]
    return keras.Sequential([keras.Input((784,)), *hidden, layers.Dense(10, activation="softmax")])


def _resnet() -> keras.Model:
    return keras.applications.ResNet50(weights=None, input_shape=(64, 64, 3), classes=10)


def main() -> None:
    """Print wanted and measured ratios."""
    for name, build, size in (("MLP 4 × 1024, batch 64", _mlp, 64), ("ResNet50 at 64 px, batch 32", _resnet, 32)):
        keras.utils.set_random_seed(0)
        model = build()
        model.compile("sgd", "sparse_categorical_crossentropy")
        rng = np.random.default_rng(0)
        x = tf.constant(rng.standard_normal((size, *model.input_shape[1:])), tf.float32)
        y = tf.constant(rng.integers(0, 10, size))
        checkup = Checkup(model)

        def trained() -> None:
            model.train_on_batch(x, y)  # noqa: B023

        def checked() -> None:
            checkup.run(x, y)  # noqa: B023

        compiled, first = _seconds(trained, time.process_time), _seconds(checked, time.process_time)
        _line(f"{name}: first, of a compile", COMPILE, first / compiled)
        pairs = [(_seconds(trained), _seconds(checked)) for _ in range(RUNS)]
        ours, theirs = (statistics.median(each) for each in zip(*pairs, strict=True))
        _line(f"{name}: later, of a step", MOST, theirs / ours)


def _seconds(run: Callable[[], None], clock: Callable[[], float] = time.perf_counter) -> float:
    started = clock()
    run()
    return clock() - started


def _line(what: str, wanted: float, measured: float) -> None:
    print(f"{what:45} wanted ≤ {wanted:.2f}  measured {measured:.2f}  {'met' if measured <= wanted else 'missed'}")


if __name__ == "__main__":
    main()
