"""Layers that merge several inputs value by value."""

from __future__ import annotations

import keras

from tfopt.model.cost.registry import formula
from tfopt.model.cost.work import Call, Operand, Work, contraction, elementwise

__all__: list[str] = []

_LAYERS = keras.layers


def _spread(call: Call) -> list[Operand]:
    """The inputs that were broadcast: their gradients are sums over what they were spread to."""
    return [each for each in call.inputs if each.needs_gradient and each.size < call.output.size]


def _summed(call: Call) -> Work:
    return Work(backward=call.output.size * len(_spread(call)))


def _passed_on(call: Call) -> Work:
    """The gradients are the incoming one itself, which nobody moves, or sums of it."""
    moved = sum(call.output.bytes + each.bytes for each in _spread(call))
    return _summed(call) + Work(backward_moved=moved, keeps=False)


@formula(_LAYERS.Add)
def _sum(call: Call) -> Work:
    return elementwise(call, call.output.size, len(call.inputs) - 1, 0) + _passed_on(call)


@formula(_LAYERS.Subtract)
def _difference(call: Call) -> Work:
    """What is subtracted gets the incoming gradient with the other sign."""
    negated = call.inputs[1].needs_gradient
    work = elementwise(call, call.output.size, 1, 0) + _passed_on(call)
    return work + Work(backward=call.output.size * negated, backward_moved=2 * call.output.bytes * negated)


@formula(_LAYERS.Multiply)
def _product(call: Call) -> Work:
    """One after the other; each product has two gradients."""
    pairs = len(call.inputs) - 1
    return elementwise(call, call.output.size, pairs, 2 * pairs) + _summed(call)


@formula(_LAYERS.Maximum, _LAYERS.Minimum)
def _extreme(call: Call) -> Work:
    pairs = len(call.inputs) - 1
    return elementwise(call, call.output.size, pairs, pairs) + _summed(call)


@formula(_LAYERS.Average)
def _average(call: Call) -> Work:
    """The incoming gradient divided once, for all inputs."""
    divided = Work(backward_moved=2 * call.output.bytes * call.backward)
    return elementwise(call, call.output.size, len(call.inputs), 1) + divided + _passed_on(call)


@formula(_LAYERS.Dot)
def _dot(call: Call) -> Work:
    one, other = call.inputs
    axes = call.layer.axes
    axis = axes if isinstance(axes, int) else axes[0]
    depth = one.lengths[axis]
    scaled = elementwise(call, one.size + other.size, 3, 5) if call.layer.normalize else Work()
    return contraction(call.output.size * depth, one.needs_gradient, other.needs_gradient) + scaled
