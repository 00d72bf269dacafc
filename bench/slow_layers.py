"""Pairs of models of equal sizes and counts, one of which is slower: what `bench.check --hidden` wants to be found."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

__all__ = ["PAIRS", "saved"]

# Name: how both models are run.
PAIRS: dict[str, dict[str, Any]] = {"dropout-under-xla": {"xla": True}, "transposed-layout": {}, "python-callback": {}}


@keras.saving.register_keras_serializable("bench")
class Layout(layers.Layer):  # type: ignore[misc]
    """A tanh, `transposed` to channels first and back."""

    def __init__(self, transposed: bool, **options: Any) -> None:
        super().__init__(**options)
        self.transposed = transposed

    def call(self, x: Any) -> Any:
        if not self.transposed:
            return ops.tanh(x)
        return ops.transpose(ops.tanh(ops.transpose(x, (0, 3, 1, 2))), (0, 2, 3, 1))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "transposed": self.transposed}


@keras.saving.register_keras_serializable("bench")
class Callback(layers.Layer):  # type: ignore[misc]
    """The identity, through `python` or not."""

    def __init__(self, python: bool, **options: Any) -> None:
        super().__init__(**options)
        self.python = python

    def call(self, x: Any) -> Any:
        if not self.python:
            return x
        told = tf.numpy_function(lambda values: np.sort(values, axis=-1)[:1], [x], tf.float32)
        with tf.control_dependencies([told]):
            return tf.identity(x)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "python": self.python}


def _model(name: str, slow: bool) -> Any:
    keras.utils.set_random_seed(0)
    special = {
        "dropout-under-xla": lambda: layers.Dropout(0.5 if slow else 0.0),
        "transposed-layout": lambda: Layout(slow),
        "python-callback": lambda: Callback(slow),
    }[name]
    inputs = keras.Input((32, 32, 3))
    x = layers.Conv2D(32, 3, padding="same", activation="relu")(inputs)
    x = special()(x)
    x = layers.Conv2D(32, 3, padding="same", activation="relu")(x)
    outputs = layers.Dense(10)(layers.GlobalAveragePooling2D()(x))
    model = keras.Model(inputs, outputs)
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def saved(name: str, folder: str) -> None:
    """Write both models of the pair."""
    for side in ("slow", "fast"):
        _model(name, side == "slow").save(f"{folder}/{name}-{side}.keras")
