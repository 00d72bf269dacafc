"""Small networks trained on scikit-learn's digits, for benches that need networks which know something.

    python -m bench.trained [--seeds 3]

Eight by eight pixels of 1797 handwritten digits, a quarter of them held out; a few seconds per network on two cores.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass

from tfopt.workload.runtime import import_tensorflow

import_tensorflow()

import keras  # noqa: E402
import numpy as np  # noqa: E402
from keras import layers  # noqa: E402
from sklearn.datasets import load_digits  # noqa: E402

__all__ = ["BATCH", "DIGITS", "GOAL", "Digits", "digits", "fitted", "trained"]

GOAL = 0.97
_EPOCHS = {"mlp": 40, "cnn": 15, "residual": 15}
BATCH, _RATE = 64, 3e-3
_HELD_OUT = 450


@dataclass(frozen=True)
class Digits:
    """Images (n, 8, 8, 1) between 0 and 1, and their classes; the split is the same for every seed."""

    x: np.ndarray
    y: np.ndarray
    test_x: np.ndarray
    test_y: np.ndarray


def digits() -> Digits:
    """The data, shuffled once."""
    found = load_digits()
    order = np.random.default_rng(0).permutation(len(found.target))
    x = (found.images[order, ..., None] / 16).astype("float32")
    y = found.target[order].astype("int32")
    return Digits(x[_HELD_OUT:], y[_HELD_OUT:], x[:_HELD_OUT], y[:_HELD_OUT])


def _norm(name: str | None = None) -> keras.layers.Layer:
    """BatchNormalization whose statistics keep up with some three hundred steps."""
    return layers.BatchNormalization(momentum=0.9, name=name)


def mlp() -> keras.Model:
    """Two hidden layers."""
    inputs = keras.Input((8, 8, 1))
    x = layers.Flatten()(inputs)
    x = layers.GaussianNoise(0.2)(x)
    for number, units in enumerate((128, 64)):
        x = layers.Dense(units, activation="relu", name=f"fc_{number}")(x)
        x = layers.Dropout(0.1)(x)
    return keras.Model(inputs, layers.Dense(10, activation="softmax", name="digit")(x), name="mlp")


def cnn() -> keras.Model:
    """Convolutions, each with BatchNormalization and ReLU, and a dense layer."""
    inputs = keras.Input((8, 8, 1))
    x = inputs
    for number, filters in enumerate((16, 24, 32)):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"conv_{number}")(x)
        x = _norm(f"bn_{number}")(x)
        x = layers.ReLU(name=f"act_{number}")(x)
        x = layers.MaxPooling2D(name=f"pool_{number}")(x) if number else x
    x = layers.Dense(32, activation="relu", name="fc")(layers.Flatten()(x))
    return keras.Model(inputs, layers.Dense(10, activation="softmax", name="digit")(x), name="cnn")


def residual() -> keras.Model:
    """Three residual blocks of two convolutions with BatchNormalization each."""
    inputs = keras.Input((8, 8, 1))
    x = layers.Conv2D(16, 3, padding="same", use_bias=False, name="stem")(inputs)
    x = layers.ReLU()(_norm()(x))
    for number in range(3):
        y = layers.Conv2D(16, 3, padding="same", use_bias=False, name=f"block_{number}_a")(x)
        y = layers.ReLU()(_norm()(y))
        y = layers.Conv2D(16, 3, padding="same", use_bias=False, name=f"block_{number}_b")(y)
        x = layers.ReLU()(layers.Add(name=f"merge_{number}")([x, _norm()(y)]))
        x = x if number else layers.MaxPooling2D()(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(10, activation="softmax", name="digit")(x), name="residual")


DIGITS: dict[str, Callable[[], keras.Model]] = {"mlp": mlp, "cnn": cnn, "residual": residual}


def trained(name: str, seed: int, data: Digits) -> keras.Model:
    """A network after training; `seed` draws its weights and the order of its batches."""
    return fitted(DIGITS[name], seed, data, _EPOCHS[name])


def fitted(build: Callable[[], keras.Model], seed: int, data: Digits, epochs: int) -> keras.Model:
    """A network, built and trained for so many epochs."""
    keras.utils.set_random_seed(seed)
    model = build()
    rate = keras.optimizers.schedules.CosineDecay(_RATE, epochs * -(-len(data.x) // BATCH))
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(data.x, data.y, batch_size=BATCH, epochs=epochs, verbose=0)
    return model


def main() -> None:
    """Print the accuracy of each network on what was held out."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    seeds = parser.parse_args().seeds
    data = digits()
    for name in DIGITS:
        for seed in range(seeds):
            started = time.perf_counter()
            model = trained(name, seed, data)
            seconds = time.perf_counter() - started
            accuracy = model.evaluate(data.test_x, data.test_y, verbose=0)[1]
            verdict = "met" if accuracy >= GOAL else "missed"
            print(f"{name:10} seed {seed}  wanted {GOAL:.3f}  measured {accuracy:.3f}  {verdict}  {seconds:.0f} s")


if __name__ == "__main__":
    main()
