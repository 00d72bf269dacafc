"""Tiny compiled models of every kind that gradients go through: name → builder. `batch` draws inputs and classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

__all__ = ["SMALL", "Halving", "batch"]

CLASSES = 3


def _model(inputs: Any, x: Any) -> keras.Model:
    model = keras.Model(inputs, layers.Dense(CLASSES, activation="softmax", name="head")(x))
    return _compiled(model)


def _compiled(model: keras.Model) -> keras.Model:
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model


def mlp() -> keras.Model:
    """Dense layers with a regularizer and one of activities."""
    inputs = keras.Input((6,))
    x = layers.Dense(5, activation="tanh", kernel_regularizer="l2", activity_regularizer="l2", name="first")(inputs)
    return _model(inputs, layers.Dense(4, activation="gelu", name="second")(x))


def cnn() -> keras.Model:
    """Convolutions, plain and depthwise, BatchNormalization and Dropout."""
    inputs = keras.Input((8, 8, 2))
    x = layers.Conv2D(4, 3, name="conv")(inputs)
    x = layers.Activation("swish")(layers.BatchNormalization(name="norm")(x))
    x = layers.DepthwiseConv2D(3, name="depthwise")(x)
    x = layers.AveragePooling2D(2)(layers.Dropout(0.3, seed=1, name="drop")(x))
    return _model(inputs, layers.Flatten()(x))


def nested() -> keras.Model:
    """A nested model and a layer, both used twice."""
    shared = layers.Dense(4, activation="tanh", name="shared")
    block = keras.Sequential([keras.Input((4,)), layers.Dense(5, "sigmoid"), layers.Dense(4)], name="block")
    inputs = keras.Input((4,))
    x = inputs
    for _ in range(2):
        x = block(shared(x))
    return _model(inputs, x)


def rnn() -> keras.Model:
    """LSTM with recurrent dropout, then a bidirectional GRU."""
    inputs = keras.Input((3, 3))
    x = layers.LSTM(4, return_sequences=True, recurrent_dropout=0.2, seed=3, name="lstm")(inputs)
    return _model(inputs, layers.Bidirectional(layers.GRU(3), name="both")(x))


def transformer() -> keras.Model:
    """Embedding, attention and `keras.ops` between layers."""
    inputs = keras.Input((4,), dtype="int32")
    x = layers.Embedding(7, 6, name="embedding")(inputs)
    x = layers.LayerNormalization(name="norm")(x + layers.MultiHeadAttention(2, 3, name="attention")(x, x))
    return _model(inputs, layers.GlobalAveragePooling1D()(keras.ops.tanh(x) * x))


class Own(keras.Model):
    """A model with a weight of its own."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.first, self.head = layers.Dense(4, activation="tanh"), layers.Dense(CLASSES, activation="softmax")
        self.gain = self.add_weight(shape=(4,), initializer="ones", name="gain")

    def call(self, inputs: Any, training: bool = False) -> Any:
        return self.head(keras.ops.sin(self.first(inputs)) * self.gain)


def subclassed() -> keras.Model:
    """A subclassed model."""
    model = Own(name="own")
    model(np.zeros((1, 6), "float32"))
    return _compiled(model)


class Halving(layers.Layer):
    """A layer whose gradient is half of the true one."""

    def call(self, inputs: Any) -> Any:
        return tf.custom_gradient(lambda x: (tf.sin(x), lambda upstream: upstream * tf.cos(x) / 2))(inputs)


SMALL: dict[str, Callable[[], keras.Model]] = {
    "mlp": mlp,
    "cnn": cnn,
    "nested": nested,
    "rnn": rnn,
    "transformer": transformer,
    "subclassed": subclassed,
}


def batch(model: keras.Model, size: int = 4) -> tuple[Any, Any]:
    """Inputs and classes."""
    rng = np.random.default_rng(0)
    entry = (getattr(model, "inputs", None) or [keras.Input((6,))])[0]
    shape, integers = entry.shape[1:], "int" in entry.dtype
    x = rng.integers(0, 7, (size, *shape)) if integers else rng.standard_normal((size, *shape)).astype("float32")
    return tf.constant(x), tf.constant(rng.integers(0, CLASSES, size))
