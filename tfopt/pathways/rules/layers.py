"""Layers that are what they are with |w| for w: linear ones, and those that move, pool, copy or repeat."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfopt.pathways.interception import keep_mask, operation_class
from tfopt.pathways.rules.registry import Call, roles, rule

__all__ = ["pooling_sums"]

L = keras.layers

_AS_THEY_ARE = (
    "Dense EinsumDense Conv1D Conv2D Conv3D Conv1DTranspose Conv2DTranspose Conv3DTranspose DepthwiseConv1D"
    " DepthwiseConv2D SeparableConv1D SeparableConv2D MaxPooling1D MaxPooling2D MaxPooling3D AveragePooling1D"
    " AveragePooling2D AveragePooling3D GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D Flatten"
    " AdaptiveAveragePooling1D AdaptiveAveragePooling2D AdaptiveAveragePooling3D CenterCrop"
    " Reshape Permute RepeatVector Cropping1D Cropping2D Cropping3D ZeroPadding1D ZeroPadding2D ZeroPadding3D"
    " UpSampling1D UpSampling3D Dropout SpatialDropout1D SpatialDropout2D SpatialDropout3D GaussianNoise"
    " GaussianDropout AlphaDropout ActivityRegularization Identity Masking MultiHeadAttention GroupQueryAttention"
    " SimpleRNN SimpleRNNCell LSTM LSTMCell GRU GRUCell RNN StackedRNNCells Bidirectional ConvLSTM1D ConvLSTM2D"
    " ConvLSTM3D"
)
_OPERATIONS = (
    "Reshape Transpose Squeeze ExpandDims Concatenate Stack Mean Sum Pad Flip Repeat Tile GetItem Moveaxis Swapaxes"
    " Ravel BroadcastTo"
)

roles(L.PReLU, {"alpha": "statistic"})


@rule(*(getattr(L, name) for name in _AS_THEY_ARE.split()), *map(operation_class, _OPERATIONS.split()), own=True)
def _as_it_is(call: Call) -> Any:
    return call.proceed()


@rule(L.UpSampling2D, L.Resizing)
def _interpolation(call: Call) -> Any:
    """Linear interpolation in the dtype of the trace (TensorFlow's is in float32); others, of which the cubic ones have
    negative weights, as they are, and tried on random inputs."""
    layer, rank = call.layer, len(call.x.shape)
    shaped = getattr(layer, "crop_to_aspect_ratio", False) or getattr(layer, "pad_to_aspect_ratio", False)
    if layer.interpolation != "bilinear" or shaped or getattr(layer, "antialias", False):
        return call.proceed()
    y, first = call.x, rank - 3 if layer.data_format == "channels_last" else rank - 2
    for axis, size in enumerate(
        layer.size if isinstance(layer, L.UpSampling2D) else (layer.height, layer.width), first
    ):
        length = y.shape[axis]
        y = _along(y, axis, _interpolating(length, length * size if isinstance(layer, L.UpSampling2D) else size))
    return y


def _interpolating(length: int, new: int) -> np.ndarray:
    """How much of each old place is in each new one, pixels being areas."""
    at = np.clip((np.arange(new) + 0.5) * length / new - 0.5, 0, length - 1)
    weights: np.ndarray = np.maximum(0, 1 - np.abs(np.arange(length)[:, None] - at))
    return weights


def _along(tensor: Any, axis: int, matrix: np.ndarray) -> Any:
    """A matrix (old places, new places) applied along one axis."""
    y = tf.tensordot(tensor, tf.constant(matrix, tensor.dtype), [[axis], [0]])
    rest = range(axis, len(tensor.shape) - 1)
    return tf.transpose(y, [*range(axis), len(tensor.shape) - 1, *rest])


@rule(L.Attention, L.AdditiveAttention, status="approximated", reason="softmax frozen", own=True)
def _attention(call: Call) -> Any:
    """Paths lead through the values; without data every score is zero, before masks are added."""
    if not call.free:
        return call.proceed()
    inputs = list(call.args[0])
    query, value, key = (*inputs, inputs[1])[:3]
    return call.run([tf.zeros_like(query), value, tf.zeros_like(key)], *call.args[1:], **call.kwargs)


@rule(L.Embedding, own=True, starts=True)
def _embedding(call: Call) -> Any:
    """Without data: the mean row of |E|, at each place. With it, rows are where contributions start; inside a layer
    that other inputs flow into (positions, in most cases), they are what this adds."""
    if not call.free:
        rows = call.proceed()
        return keep_mask(rows, call.constant(rows)) if call.tracer.flows_in() else rows
    call.tracer.mark("exact", "mean over the vocabulary")
    rows = tf.convert_to_tensor(keras.ops.convert_to_tensor(call.layer.embeddings))
    places = call.leaves[0]
    return tf.reduce_mean(rows, 0) + tf.zeros((*tf.unstack(tf.shape(places)), 1), rows.dtype)


if hasattr(L, "ReversibleEmbedding"):

    @rule(L.ReversibleEmbedding, own=True)
    def _reversible_embedding(call: Call) -> Any:
        """Backwards it is a dense layer."""
        return call.proceed() if call.tensors else _embedding(call)


@rule(
    *(getattr(L, name) for name in ("CategoryEncoding", "HashedCrossing", "StringLookup", "IntegerLookup",
                                    "TextVectorization", "Hashing", "Discretization") if hasattr(L, name)),
    own=True,
    starts=True,
)  # fmt: skip
def _encoding(call: Call) -> Any:
    """Without data each category counts as much as any other."""
    encoded = call.proceed()
    if not encoded.dtype.is_floating:
        return encoded
    encoded = tf.cast(encoded, call.tracer.plan.dtype)  # float32, whatever it was given
    return tf.ones_like(encoded) if call.free else encoded


@rule(L.GlobalMaxPooling1D, L.GlobalMaxPooling2D, L.GlobalMaxPooling3D, own=True)
def _global_max(call: Call) -> Any:
    """Without data paths lead through each place."""
    if not call.free or call.tracer.plan.maxpool == "max":
        return call.proceed()
    last = call.layer.data_format == "channels_last"
    axes = list(range(1, len(call.x.shape) - 1) if last else range(2, len(call.x.shape)))
    return tf.reduce_sum(call.x, axes, keepdims=call.layer.keepdims)


@rule(L.AdaptiveMaxPooling1D, L.AdaptiveMaxPooling2D, L.AdaptiveMaxPooling3D, own=True)
def _adaptive_max(call: Call) -> Any:
    """Without data paths lead through each place of a window."""
    if not call.free or call.tracer.plan.maxpool == "max":
        return call.proceed()
    first = 1 if call.layer.data_format == "channels_last" else 2
    y = call.x
    for axis, windows in enumerate(call.layer.output_size, first):
        y = _along(y, axis, _windows(y.shape[axis], windows))
    return y


def _windows(length: int, windows: int) -> np.ndarray:
    """Which places lie in which window, as 0 and 1."""
    place, window = np.ogrid[:length, :windows]
    return (window * length // windows <= place) & (place < -(-(window + 1) * length // windows))


@rule(operation_class("Max"), operation_class("Amax"), own=True)
def _maximum(call: Call) -> Any:
    if not call.free or call.tracer.plan.maxpool == "max":
        return call.proceed()
    return tf.reduce_sum(call.x, call.layer.axis, keepdims=call.layer.keepdims)


@rule(L.TimeDistributed, own=True)
def _time_distributed(call: Call) -> Any:
    """The layer inside is called once, on all time steps as one batch, so that its own rule holds."""
    x = call.x
    steps = x.shape[1]
    if steps is None:
        return call.proceed()
    folded = tf.reshape(x, [-1, *x.shape[2:]])
    y = call.layer.layer(folded)
    return keep_mask(x, tf.reshape(y, [-1, steps, *y.shape[1:]]))


@rule(L.SpectralNormalization, own=True)
def _spectral(call: Call) -> Any:
    return call.layer.layer(call.x)


def pooling_sums(original: Callable[..., Any]) -> Callable[..., Any]:
    """Sums in place of maxima: a path leads through each place that could win (Gonon et al., arXiv:2310.01225)."""

    @functools.wraps(original)
    def max_pool(
        inputs: Any, pool_size: Any, strides: Any = None, padding: str = "valid", data_format: str | None = None
    ) -> Any:
        dimensions = len(inputs.shape) - 2
        size = (pool_size,) * dimensions if isinstance(pool_size, int) else tuple(pool_size)
        stride = size if strides is None else (strides,) * dimensions if isinstance(strides, int) else tuple(strides)
        first = (data_format or keras.config.image_data_format()) == "channels_first"
        x = tf.transpose(inputs, [0, *range(2, dimensions + 2), 1]) if first else inputs
        if padding == "same":
            x = tf.pad(x, [[0, 0], *map(_same, x.shape[1:-1], size, stride), [0, 0]])
        y = tf.nn.avg_pool(x, size, stride, "VALID") * float(math.prod(size))
        return tf.transpose(y, [0, dimensions + 1, *range(1, dimensions + 1)]) if first else y

    return max_pool


def _same(length: int, size: int, stride: int) -> list[int]:
    missing = max((-(-length // stride) - 1) * stride + size - length, 0)
    return [missing // 2, missing - missing // 2]
