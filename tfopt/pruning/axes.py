"""Which axes of a kernel its layer sums over, and which are those of its outputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

__all__ = ["Axes", "axes_of"]

_LAYERS = keras.layers

Axes = tuple[tuple[int, ...], tuple[int, ...]]
"""Input axes, output axes; in the order in which a kernel has them, so that several are flattened as they lie."""


def _transposed(layer: Any, rank: int) -> Axes:
    """The kernel is (…, out, in)."""
    return (rank - 1,), (rank - 2,)


def _depthwise(layer: Any, rank: int) -> Axes:
    """Each channel has taps of its own: nothing is summed over channels."""
    return (), (rank - 2, rank - 1)


def _einsum(layer: Any, rank: int) -> Axes:
    """What the output lacks is summed over, what the input lacks is made; an axis of both has weights of its own at
    each place. Attention is made of these: (D | H, K) before it, (H, K | D) after it."""
    operands, output = layer.equation.replace("...", "").split("->")
    given, kernel = operands.split(",")
    return (
        tuple(axis for axis, letter in enumerate(kernel) if letter not in output),
        tuple(axis for axis, letter in enumerate(kernel) if letter not in given),
    )


_AXES: dict[type, Callable[[Any, int], Axes]] = {
    _LAYERS.EinsumDense: _einsum,
    **dict.fromkeys((_LAYERS.DepthwiseConv1D, _LAYERS.DepthwiseConv2D), _depthwise),
    **dict.fromkeys((_LAYERS.Conv1DTranspose, _LAYERS.Conv2DTranspose, _LAYERS.Conv3DTranspose), _transposed),
}


def axes_of(layer: Any, variable: Any) -> Axes:
    """The input and output axes of a layer's variable. The last two (…, in, out) where nothing else is known, as in
    dense, convolutional and recurrent kernels, those of gates side by side; a vector sums over nothing."""
    rank = len(variable.shape)
    if rank < 2:
        return (), tuple(range(rank))
    if variable.name == "depthwise_kernel":
        return _depthwise(layer, rank)
    if variable.name == "kernel":
        for kind in type(layer).__mro__:
            if kind in _AXES:
                return _AXES[kind](layer, rank)
    return (rank - 2,), (rank - 1,)
