"""Layers that merge several inputs value by value."""

from __future__ import annotations

import keras

from tfopt.model.cost.registry import formula
from tfopt.model.cost.work import Call, Work, contraction, elementwise

__all__: list[str] = []

_LAYERS = keras.layers


@formula(_LAYERS.Add, _LAYERS.Subtract)
def _sum(call: Call) -> Work:
    """The gradients are the incoming one itself."""
    work = elementwise(call, call.output.size, len(call.inputs) - 1, call.layer.__class__ is _LAYERS.Subtract)
    return work + Work(keeps=False)


@formula(_LAYERS.Multiply)
def _product(call: Call) -> Work:
    """One after the other; each product has two gradients."""
    pairs = len(call.inputs) - 1
    return elementwise(call, call.output.size, pairs, 2 * pairs)


@formula(_LAYERS.Maximum, _LAYERS.Minimum)
def _extreme(call: Call) -> Work:
    pairs = len(call.inputs) - 1
    return elementwise(call, call.output.size, pairs, pairs)


@formula(_LAYERS.Average)
def _average(call: Call) -> Work:
    return elementwise(call, call.output.size, len(call.inputs), 1)


@formula(_LAYERS.Dot)
def _dot(call: Call) -> Work:
    one, other = call.inputs
    axes = call.layer.axes
    axis = axes if isinstance(axes, int) else axes[0]
    depth = one.lengths[axis]
    scaled = elementwise(call, one.size + other.size, 3, 5) if call.layer.normalize else Work()
    return contraction(call.output.size * depth, one.needs_gradient, other.needs_gradient) + scaled
