"""Normalisations: by statistics of training, which are constants, and by those of the input, which are frozen."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tfopt.pathways.interception import LayerScale, keep_mask
from tfopt.pathways.rules.registry import Call, exactly, roles, rule

__all__: list[str] = []

_FROZEN = "denominator frozen"

roles(
    keras.layers.BatchNormalization,
    {"gamma": "weight", "beta": "offset", "moving_mean": "offset", "moving_variance": "statistic"},
)


@rule(keras.layers.BatchNormalization, own=True)
def _batch_normalization(call: Call) -> Any:
    """Without data the mean is added like any other offset, not subtracted."""
    layer = call.layer
    if not call.free:
        return call.proceed()
    shape = [size if axis in _positive([layer.axis], call.x) else 1 for axis, size in enumerate(call.x.shape)]
    scale = tf.math.rsqrt(call.value(layer.moving_variance) + tf.cast(layer.epsilon, call.x.dtype))
    scale = scale * call.value(layer.gamma) if layer.scale else scale
    y = call.x * tf.reshape(scale, shape)
    if call.tracer.plan.constants:
        offset = call.value(layer.moving_mean) * scale + (call.value(layer.beta) if layer.center else 0)
        y = y + tf.reshape(offset, shape)
    return keep_mask(call.x, y)


@rule(LayerScale, own=True)
def _layer_scale(call: Call) -> Any:
    return call.proceed()


@rule(keras.layers.LayerNormalization, status="approximated", reason=_FROZEN, own=True)
def _layer_normalization(call: Call) -> Any:
    layer = call.layer
    axes = [layer.axis] if isinstance(layer.axis, int) else list(layer.axis)
    shape = [size if axis in _positive(axes, call.x) else 1 for axis, size in enumerate(call.x.shape)]
    y = call.x
    if not call.free:
        centred = y - tf.reduce_mean(y, axes, keepdims=True)
        y = (y if layer.rms_scaling else centred) * _reciprocal_root(centred, axes, layer.epsilon)
    if layer.gamma is not None:
        y = y * tf.reshape(call.value(layer.gamma), shape)
    if getattr(layer, "beta", None) is not None:
        y = y + tf.reshape(call.value(layer.beta), shape)
    return keep_mask(call.x, y)


@rule(keras.layers.RMSNormalization, status="approximated", reason=_FROZEN, own=True)
def _rms_normalization(call: Call) -> Any:
    layer = call.layer
    axes = [layer.axis] if isinstance(layer.axis, int) else list(layer.axis)
    y = call.x if call.free else call.x * _reciprocal_root(call.x, axes, layer.epsilon)
    return keep_mask(call.x, y * call.value(layer.scale))


@rule(keras.layers.GroupNormalization, status="approximated", reason=_FROZEN, own=True)
def _group_normalization(call: Call) -> Any:
    layer, x = call.layer, call.x
    axis = layer.axis % len(x.shape)
    y = x
    if not call.free:
        channels = x.shape[axis]
        groups = channels if layer.groups == -1 else layer.groups
        grouped_shape = [*_sizes(x)[:axis], groups, channels // groups, *_sizes(x)[axis + 1 :]]
        grouped = tf.reshape(x, grouped_shape)
        axes = [each for each in range(1, len(grouped_shape)) if each != axis]
        centred = grouped - tf.reduce_mean(grouped, axes, keepdims=True)
        y = tf.reshape(centred * _reciprocal_root(centred, axes, layer.epsilon), _sizes(x))
    shape = [size if position == axis else 1 for position, size in enumerate(x.shape)]
    if layer.scale:
        y = y * tf.reshape(call.value(layer.gamma), shape)
    if layer.center:
        y = y + tf.reshape(call.value(layer.beta), shape)
    return y


@rule(keras.layers.UnitNormalization, status="approximated", reason=_FROZEN, own=True)
def _unit_normalization(call: Call) -> Any:
    if call.free:
        return tf.identity(call.x)
    axes = [call.layer.axis] if isinstance(call.layer.axis, int) else list(call.layer.axis)
    squares = tf.reduce_sum(tf.square(call.x), axes, keepdims=True)
    return call.x * tf.stop_gradient(tf.math.rsqrt(tf.maximum(squares, 1e-12**2)))


@rule(keras.layers.Normalization, own=True)
def _normalization(call: Call) -> Any:
    """x / σ, and −mean / σ as a bias."""
    layer = call.layer
    mean = call.value(layer.mean)
    deviation = tf.maximum(tf.sqrt(call.value(layer.variance)), keras.config.epsilon())
    if layer.invert:
        return call.x * deviation + call.constant(mean)
    return call.x / deviation + call.constant(-mean / deviation)


@rule(keras.layers.Rescaling, own=True)
def _rescaling(call: Call) -> Any:
    scale, offset = (tf.cast(each, call.x.dtype) for each in (call.layer.scale, call.layer.offset))
    return call.x * (tf.abs(scale) if call.free else scale) + call.constant(offset)


def _reciprocal_root(centred: Any, axes: list[int], epsilon: float) -> Any:
    mean_square = tf.reduce_mean(tf.square(centred), axes, keepdims=True)
    return tf.stop_gradient(tf.math.rsqrt(mean_square + exactly(epsilon, centred.dtype)))


def _positive(axes: list[int], x: Any) -> set[int]:
    return {axis % len(x.shape) for axis in axes}


def _sizes(x: Any) -> list[Any]:
    """Sizes for a reshape, with −1 for a free batch."""
    return [-1 if size is None else size for size in x.shape]
