"""Targets that fit a loss: a registry from the loss's name to what it compares predictions with.

Names are those of `keras.losses`. A loss that is not listed gets values of the output's own shape.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

__all__ = ["draw_targets", "infer_loss", "loss_name"]

Shape = tuple[int, ...]
Maker = Callable[[np.random.Generator, Shape], Any]


def _classes(rng: np.random.Generator, shape: Shape) -> Any:
    return rng.integers(0, max(shape[-1], 1), shape[:-1]).astype("int32")


def _one_hot(rng: np.random.Generator, shape: Shape) -> Any:
    return np.eye(max(shape[-1], 1), dtype="float32")[rng.integers(0, max(shape[-1], 1), shape[:-1])]


def _binary(rng: np.random.Generator, shape: Shape) -> Any:
    return rng.integers(0, 2, shape).astype("float32")


def _signs(rng: np.random.Generator, shape: Shape) -> Any:
    return (2 * rng.integers(0, 2, shape) - 1).astype("float32")


def _positive(rng: np.random.Generator, shape: Shape) -> Any:
    return rng.random(shape, dtype="float32") + 0.5


def _distribution(rng: np.random.Generator, shape: Shape) -> Any:
    return rng.dirichlet(np.ones(max(shape[-1], 1)), shape[:-1]).astype("float32")


def _normal(rng: np.random.Generator, shape: Shape) -> Any:
    return np.asarray(rng.standard_normal(shape), dtype="float32")


def _labels(rng: np.random.Generator, shape: Shape) -> Any:
    # CTC: (batch, time, classes) predictions against label sequences shorter than time; 0 is the blank.
    length = max(shape[1] // 2, 1)
    return rng.integers(1, max(shape[-1], 2), (shape[0], length)).astype("int32")


_MAKERS: dict[str, Maker] = {
    "sparse_categorical_crossentropy": _classes,
    "categorical_crossentropy": _one_hot,
    "categorical_focal_crossentropy": _one_hot,
    "categorical_hinge": _one_hot,
    "categorical_generalized_cross_entropy": _classes,
    "binary_crossentropy": _binary,
    "binary_focal_crossentropy": _binary,
    "dice": _binary,
    "tversky": _binary,
    "hinge": _signs,
    "squared_hinge": _signs,
    "kl_divergence": _distribution,
    "poisson": _positive,
    "mean_squared_logarithmic_error": _positive,
    "mean_absolute_percentage_error": _positive,
    "ctc": _labels,
}


def loss_name(loss: Any) -> str:
    """The name of a loss given as Keras takes it: a string, a function, a `Loss`, or a structure of these."""
    if isinstance(loss, str):
        try:
            return loss_name(keras.losses.get(loss))
        except ValueError:
            return loss
    if isinstance(loss, Mapping):
        return ", ".join(f"{key}: {loss_name(part)}" for key, part in loss.items())
    if isinstance(loss, list | tuple):
        return ", ".join(dict.fromkeys(loss_name(part) for part in loss))
    function = getattr(loss, "fn", loss)
    return str(getattr(function, "__name__", type(loss).__name__)) if loss is not None else "none"


def draw_targets(
    loss: Any, shapes: Sequence[Shape], names: Sequence[str], structure: Any, rng: np.random.Generator
) -> Any:
    """Targets for a loss: one tensor per output in the structure of the model's outputs.

    `shapes` and `names` list the flat outputs, `structure` is the model's own output structure. Outputs without a loss
    get None.
    """
    parts = _per_output(loss, names)
    flat = [
        None if part is None else tf.constant(_maker(part, shape)(rng, shape))
        for part, shape in zip(parts, shapes, strict=True)
    ]
    return keras.tree.pack_sequence_as(structure, flat)


def _maker(loss: Any, shape: Shape) -> Maker:
    """A scalar per batch has no axis of classes: it gets a plain number."""
    return _MAKERS.get(loss_name(loss), _normal) if shape else _normal


def _per_output(loss: Any, names: Sequence[str]) -> list[Any]:
    if isinstance(loss, Mapping):
        return [loss.get(name) for name in names]
    if isinstance(loss, list | tuple) and len(loss) == len(names):
        return list(loss)
    return [loss] * len(names)


_BY_ACTIVATION = {"softmax": "sparse_categorical_crossentropy", "sigmoid": "binary_crossentropy"}


def infer_loss(model: Any) -> tuple[Any, str]:
    """A loss for a model without one, from the activation of each output's layer; and the reason in words.

    softmax → sparse categorical crossentropy, sigmoid → binary crossentropy, anything else → mean squared error.
    """
    activations = [_output_activation(tensor) for tensor in getattr(model, "outputs", None) or []]
    if not activations:
        activations = [_last_activation(model)]
    losses = [_BY_ACTIVATION.get(activation, "mean_squared_error") for activation in activations]
    reason = f"its output is {' and '.join(dict.fromkeys(activations))}"
    return (losses[0] if len(set(losses)) == 1 else losses), reason


def _output_activation(tensor: Any) -> str:
    history = getattr(tensor, "_keras_history", None)
    return _activation(history.operation) if history is not None else "linear"


def _last_activation(model: Any) -> str:
    layers = [layer for layer in model._flatten_layers(include_self=False) if hasattr(layer, "activation")]
    return _activation(layers[-1]) if layers else "linear"


def _activation(operation: Any) -> str:
    if isinstance(operation, keras.Model) and getattr(operation, "outputs", None):
        return _output_activation(operation.outputs[0])
    wrapped = getattr(operation, "layer", operation)
    activation = getattr(wrapped, "activation", None)
    if activation is not None:
        return str(getattr(activation, "__name__", type(activation).__name__))
    return type(operation).__name__.lower() if type(operation).__name__ in ("Softmax", "Sigmoid") else "linear"
