"""Convolutions: plain, grouped, dilated, depthwise, separable, transposed; in one to three dimensions.

Every tap of the kernel counts at every output position, also where padding lies under it, as in the literature.
"""

from __future__ import annotations

import math
from typing import Any

import keras

from tfopt.model.cost.activations import activation
from tfopt.model.cost.dense import bias
from tfopt.model.cost.registry import formula
from tfopt.model.cost.work import Call, Work, contraction

__all__ = ["channels", "conv_macs"]

_LAYERS = keras.layers


def channels(layer: Any, shape: tuple[int, ...]) -> int:
    """The channels of an image of this shape."""
    return shape[1] if layer.data_format == "channels_first" else shape[-1]


def conv_macs(outputs: int, kernel: tuple[int, ...]) -> int:
    """Multiply-accumulates of a convolution that gives `outputs` values with a kernel (…taps, in per group, out)."""
    return outputs * math.prod(kernel[:-1])


@formula(_LAYERS.Conv1D, _LAYERS.Conv2D, _LAYERS.Conv3D)
def _conv(call: Call) -> Work:
    layer, size = call.layer, call.output.size
    macs = conv_macs(size, tuple(layer._kernel.shape))
    product = contraction(macs, call.input.needs_gradient, call.trains(layer._kernel))
    return product + bias(call, size) + activation(call, layer.activation, size)


@formula(_LAYERS.Conv1DTranspose, _LAYERS.Conv2DTranspose, _LAYERS.Conv3DTranspose)
def _transposed(call: Call) -> Work:
    """Every input value goes through every tap to every filter: the kernel is (…taps, out, in)."""
    layer, size = call.layer, call.output.size
    macs = call.input.size * math.prod(layer.kernel_size) * layer.filters
    product = contraction(macs, call.input.needs_gradient, call.trains(layer.kernel))
    return product + bias(call, size) + activation(call, layer.activation, size)


@formula(_LAYERS.DepthwiseConv1D, _LAYERS.DepthwiseConv2D)
def _depthwise(call: Call) -> Work:
    layer, size = call.layer, call.output.size
    macs = size * math.prod(layer.kernel_size)
    product = contraction(macs, call.input.needs_gradient, call.trains(layer.kernel))
    return product + bias(call, size) + activation(call, layer.activation, size)


@formula(_LAYERS.SeparableConv1D, _LAYERS.SeparableConv2D)
def _separable(call: Call) -> Work:
    """A depthwise convolution, and one of kernel size 1 on what it gives, which always needs a gradient."""
    layer, size = call.layer, call.output.size
    inner = channels(layer, call.input.lengths) * layer.depth_multiplier
    between = size // layer.filters * inner
    work = contraction(
        between * math.prod(layer.kernel_size), call.input.needs_gradient, call.trains(layer.depthwise_kernel)
    )
    work += contraction(
        size * inner,
        call.input.needs_gradient or call.trains(layer.depthwise_kernel),
        call.trains(layer.pointwise_kernel),
    )
    return work + bias(call, size) + activation(call, layer.activation, size)
