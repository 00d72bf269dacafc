"""Normalisation: statistics, and one affine map of each value. Counted in the order in which Keras computes.

A mean and a variance take four operations per value: an addition for the mean; a difference, a square and an addition
for the variance. What is per channel or per group (`rsqrt(v + ε)`, moving averages) is counted too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import keras

from tfopt.model.cost.registry import formula
from tfopt.model.cost.work import Call, NoFormula, Operand, Work, contraction

__all__: list[str] = []

_LAYERS = keras.layers
_MOMENTS = 4


def _own(call: Call, size: int) -> int:
    """Gradients of the layer's weights: a sum for the offset, a product and a sum for the scale."""
    layer = call.layer
    scale = call.trains(getattr(layer, "gamma", None)) or call.trains(getattr(layer, "scale", None))
    return size * (call.trains(getattr(layer, "beta", None)) + 2 * scale)


def _gradients(call: Call, size: int, through: int) -> int:
    """`through` operations per value where the input needs a gradient, those for the weights among them."""
    return through * size if call.input.needs_gradient else _own(call, size)


def _groups(operand: Operand, axes: int | Sequence[int]) -> int:
    """How many groups of values that are normalised together along `axes`."""
    along = [axes] if isinstance(axes, int) else list(axes)
    return operand.size // math.prod(operand.lengths[axis] for axis in along)


@formula(_LAYERS.BatchNormalization)
def _batch(call: Call) -> Work:
    layer, size = call.layer, call.output.size
    if layer.renorm or call.arguments.get("mask") is not None:
        raise NoFormula
    channels = call.input.lengths[layer.axis]
    learning = call.training and layer.trainable
    # s = rsqrt(v + ε)·γ; t = β − μ·s; x·s + t; and twice a·m + b·(1 − m) for the moving averages
    work = (2 + _MOMENTS * learning) * size + (4 + bool(layer.scale) + 6 * learning) * channels
    # the gradient of a constant map is dy·s
    constant = size * call.input.needs_gradient + _own(call, size)
    return Work(other=work, backward=_gradients(call, size, 11) if learning else constant)


@formula(_LAYERS.LayerNormalization)
def _layer(call: Call) -> Work:
    layer, size = call.layer, call.output.size
    if layer.rms_scaling:
        raise NoFormula
    groups = _groups(call.input, layer.axis)
    # s = rsqrt(v + ε)·γ; t = −μ·s + β; x·s + t: with γ all of these have as many values as x
    spread = 2 * size if layer.scale else groups
    work = (_MOMENTS + 2 + bool(layer.center)) * size + spread + 3 * groups
    return Work(other=work, backward=_gradients(call, size, 17 + bool(layer.center) if layer.scale else 11))


@formula(_LAYERS.GroupNormalization)
def _group(call: Call) -> Work:
    layer, size = call.layer, call.output.size
    batch, width = call.input.lengths[0], call.input.lengths[layer.axis]
    groups = batch * layer.groups
    # as above, with s and t per example and channel
    spread = 2 * batch * width if layer.scale else groups
    work = (_MOMENTS + 2) * size + spread + batch * width * bool(layer.center) + 3 * groups
    return Work(other=work, backward=_gradients(call, size, 11))


@formula(_LAYERS.RMSNormalization)
def _rms(call: Call) -> Work:
    size = call.output.size
    # rsqrt(mean(x²) + ε)·x·scale
    work = 4 * size + 2 * _groups(call.input, call.layer.axis)
    return Work(other=work, backward=_gradients(call, size, 10))


@formula(_LAYERS.UnitNormalization)
def _unit(call: Call) -> Work:
    size = call.output.size
    # x·min(rsqrt(Σ x²), 1/ε)
    return Work(other=3 * size + 2 * _groups(call.input, call.layer.axis), backward=6 * size * call.backward)


@formula(_LAYERS.SpectralNormalization)
def _spectral(call: Call) -> Work:
    """The wrapper's own work: power iterations on the wrapped kernel, in training. The wrapped layer has its row."""
    if not call.training:
        return Work(moved=0, backward_moved=0)
    kernel = math.prod(call.layer.kernel.shape)
    width = call.layer.kernel.shape[-1]
    rounds = call.layer.power_iterations
    # each round: v = normalise(u·Wᵀ), u = normalise(v·W); then σ = (v·W)·uᵀ and W/σ
    products = contraction(2 * rounds * kernel + kernel + width)
    small = rounds * (3 * (kernel // width + width) + 4)
    read = sum(weight.bytes for weight in call.weights)
    return products + Work(other=kernel + small, moved=2 * read, backward_moved=0)
