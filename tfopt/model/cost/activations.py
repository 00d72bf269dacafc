"""Activation functions: operations per value, forward and backward."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from tfopt.model.cost.registry import formula
from tfopt.model.cost.work import Call, NoFormula, Work, elementwise

__all__ = ["SOFTMAX", "activation", "function_flops"]

# A function for which TensorFlow has one kernel is one operation per value; the others are spelt out.
_OPERATIONS: dict[str, tuple[int, int]] = {
    "linear": (0, 0),
    "relu": (1, 1),
    "relu6": (1, 1),
    "leaky_relu": (1, 1),
    "elu": (1, 1),
    "selu": (1, 1),
    "softplus": (1, 2),
    "softsign": (1, 1),
    "exponential": (1, 1),
    "tanh": (1, 3),  # (1 − y²)·dy
    "sigmoid": (1, 3),  # y·(1 − y)·dy
    "softmax": (5, 4),  # maximum, difference, exp, sum, quotient; (dy − Σ dy·y)·y
    "log_softmax": (5, 4),
    "silu": (2, 8),  # x·σ(x); (σ(x)·(1 + x·(1 − σ(x))))·dy
    "gelu": (5, 11),  # x/2·(1 + erf(x/√2))
    "hard_sigmoid": (3, 2),  # relu6(x + 3) / 6
    "hard_silu": (4, 5),
    "mish": (3, 8),  # x·tanh(softplus(x))
    "tanh_shrink": (2, 5),
}
SOFTMAX = _OPERATIONS["softmax"]


def activation(call: Call, function: Callable[..., Any] | None, size: int) -> Work:
    """Keras's activation `function` on `size` values; NoFormula where it is a stranger's.

    A layer that serves as an activation function has a row of its own.
    """
    if function is None or isinstance(function, keras.layers.Layer):
        return Work()
    name = getattr(function, "__name__", "")
    if name not in _OPERATIONS or function is not getattr(keras.activations, name, None):
        raise NoFormula
    return elementwise(call, size, *_OPERATIONS[name])


def function_flops(name: str, size: int) -> int | None:
    """Operations of an activation function on `size` values, forward and backward; None where they are not known."""
    return sum(_OPERATIONS[name]) * size if name in _OPERATIONS else None


def _plain(name: str) -> Callable[[Call], Work]:
    return lambda call: elementwise(call, call.output.size, *_OPERATIONS[name])


for _class, _name in (
    (keras.layers.ELU, "elu"),
    (keras.layers.LeakyReLU, "leaky_relu"),
):
    formula(_class)(_plain(_name))


@formula(keras.layers.Softmax)
def _softmax(call: Call) -> Work:
    if isinstance(call.layer.axis, list | tuple) and len(call.layer.axis) > 1:
        raise NoFormula
    return elementwise(call, call.output.size, *SOFTMAX)


@formula(keras.layers.Activation)
def _activation(call: Call) -> Work:
    return activation(call, call.layer.activation, call.output.size)


@formula(keras.layers.ReLU)
def _relu(call: Call) -> Work:
    layer = call.layer
    if layer.threshold or (layer.negative_slope and layer.max_value is not None):
        raise NoFormula
    return elementwise(call, call.output.size)


@formula(keras.layers.PReLU)
def _prelu(call: Call) -> Work:
    """relu(x) + (−α)·relu(−x): five operations; where α is trained a product and a sum for its gradient."""
    size = call.output.size
    negated = sum(weight.size for weight in call.weights)
    return elementwise(call, size, 5, 5) + Work(other=negated, backward=2 * size * call.trains(call.layer.alpha))
