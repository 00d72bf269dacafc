"""Activation functions that health knows: where they saturate, and which layers are nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

__all__ = ["SATURATED", "UNITLESS", "function_of"]

_NEAR = 0.05  # of the range, from either end: the slope of tanh is a tenth there

SATURATED: dict[str, Callable[[Any], Any]] = {
    "sigmoid": lambda y: tf.abs(y - 0.5) > 0.5 - _NEAR,
    "tanh": lambda y: tf.abs(y) > 1 - _NEAR,
    "softsign": lambda y: tf.abs(y) > 1 - _NEAR,
    "hard_sigmoid": lambda y: tf.abs(y - 0.5) >= 0.5,
    "sparse_sigmoid": lambda y: tf.abs(y - 0.5) >= 0.5,
    "hard_tanh": lambda y: tf.abs(y) >= 1,
    "relu6": lambda y: y >= 6,
}
"""By a function's name: of its results, which lie where its slope is (nearly) 0, zeros of relu6 aside."""

UNITLESS = frozenset({"softmax", "log_softmax", "linear"})
"""Functions whose channels are no units that could be dead: a softmax over positions, say."""

_LAYERS: dict[type, Callable[[Any], str]] = {
    keras.layers.ReLU: lambda layer: _relu(layer.max_value),
    keras.layers.LeakyReLU: lambda layer: "leaky_relu",
    keras.layers.PReLU: lambda layer: "prelu",
    keras.layers.ELU: lambda layer: "elu",
    keras.layers.Softmax: lambda layer: "softmax",
    keras.layers.Activation: lambda layer: _name(layer.activation),
}


def function_of(operation: Any) -> str | None:
    """The activation function that a layer is, by name; None where it is something else."""
    found = next((_LAYERS[kind] for kind in type(operation).__mro__ if kind in _LAYERS), None)
    return None if found is None else found(operation)


def _relu(max_value: float | None) -> str:
    if max_value is None:
        return "relu"
    return "relu6" if max_value == 6 else f"relu up to {max_value:g}"


def _name(function: Any) -> str:
    return str(getattr(function, "__name__", type(function).__name__))
