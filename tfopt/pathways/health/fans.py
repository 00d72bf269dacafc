"""How many inputs each output of a layer sums, and how many an initializer takes it for."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras

__all__ = ["fan_in_of", "fans_of_shape"]

_LAYERS = keras.layers


def fans_of_shape(shape: Sequence[int]) -> tuple[float, float] | None:
    """(fan-in, fan-out) as Keras's initializers take them from a variable's shape; None below two dimensions.

    They take the last two dimensions for channels, whatever the layer: for a depthwise kernel, fan-in is that of a
    full convolution.
    """
    if len(shape) < 2 or not math.prod(shape):
        return None
    field = math.prod(shape[:-2])
    return float(shape[-2] * field), float(shape[-1] * field)


def _dense(layer: Any, shape: Sequence[int]) -> float:
    return float(shape[0])


def _convolution(layer: Any, shape: Sequence[int]) -> float:
    return float(math.prod(shape[:-1]))


def _depthwise(layer: Any, shape: Sequence[int]) -> float:
    return float(math.prod(shape[:-2]))


def _transposed(layer: Any, shape: Sequence[int]) -> float:
    """The kernel is (…, out, in); a stride shares its taps among that many outputs per axis."""
    return float(math.prod(shape[:-2]) * shape[-1] / math.prod(layer.strides))


def _einsum(layer: Any, shape: Sequence[int]) -> float:
    """The kernel's axes that the output does not have are summed over."""
    operands, output = layer.equation.replace("...", "").split("->")
    axes = operands.split(",")[1]
    return float(math.prod(length for axis, length in zip(axes, shape, strict=True) if axis not in output))


_FANS_IN: dict[type, Callable[[Any, Sequence[int]], float]] = {
    _LAYERS.Dense: _dense,
    _LAYERS.EinsumDense: _einsum,
    **dict.fromkeys((_LAYERS.Conv1D, _LAYERS.Conv2D, _LAYERS.Conv3D), _convolution),
    **dict.fromkeys((_LAYERS.DepthwiseConv1D, _LAYERS.DepthwiseConv2D), _depthwise),
    **dict.fromkeys((_LAYERS.Conv1DTranspose, _LAYERS.Conv2DTranspose, _LAYERS.Conv3DTranspose), _transposed),
}


def fan_in_of(layer: Any, shape: Sequence[int]) -> float | None:
    """How many products each output of a layer with a kernel of this `shape` sums, away from borders; None for other
    layers, and for others' subclasses with a `call` of their own."""
    for kind in type(layer).__mro__:
        if kind in _FANS_IN:
            return _FANS_IN[kind](layer, shape) if type(layer).call is kind.call else None  # type: ignore[attr-defined]
    return None
