"""Layers with a kernel: an edge between two channels is the largest |w| between them, of all taps and positions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfopt.pathways.top_paths.best import mix, pick, start
from tfopt.pathways.top_paths.transfers.registry import Call, Unavailable, Units, log10, transfer

__all__ = ["mixed"]

L = keras.layers

_ELEMENTS = 2**22  # of a kernel at once

_OTHER = "it takes another number of channels than its weights say"

Columns = Callable[[int, int], np.ndarray]
"""Gives the weights (…, rows, some of the new units) of a range of new units."""


def mixed(x: Units, count: int, edges: Columns, *, axis: int, groups: int = 1) -> Units:
    """The units of a layer where each takes from all (of its group): `count` of them, along `axis`."""
    rows = (x.best.units if x.place is None else len(x.place)) // groups
    one = edges(0, 1)
    if np.shape(one)[-2] != rows:
        raise Unavailable(_OTHER)
    width = max(1, _ELEMENTS // max(int(np.size(one)), 1))
    per_group = count // groups

    def blocks() -> Iterator[tuple[int, np.ndarray]]:
        for group in range(groups):
            end = (group + 1) * per_group
            for begin in range(group * per_group, end, width):
                block = np.abs(edges(begin, min(begin + width, end)))
                block = block.reshape(-1, *block.shape[-2:]).max(0)
                yield group * rows, log10(block if x.place is None else _of_units(block, x))

    return Units(mix(x.best, blocks()), axis)


def _of_units(weights: np.ndarray, x: Units) -> np.ndarray:
    """The largest weight from any of a unit's places."""
    assert x.place is not None
    order = np.argsort(x.place, kind="stable")
    present, first = np.unique(x.place[order], return_index=True)
    edges = np.zeros((x.best.units, weights.shape[1]), weights.dtype)
    largest = np.maximum.reduceat(weights[order], first, axis=0)
    edges[present[present >= 0]] = largest[present >= 0]
    return edges


def _tensor(variable: Any) -> Any:
    """A variable's values where they are: as an array all of them would be copied, 411 MB for VGG16's largest."""
    return tf.convert_to_tensor(variable)


def _columns(kernel: Any) -> Columns:
    return lambda begin, end: np.asarray(kernel[..., begin:end])


def _last(call: Call) -> int:
    return len(call.output.shape) - 1


@transfer(L.Dense)
def _dense(call: Call) -> Units:
    kernel = _tensor(call.layer.kernel)
    rows, count = kernel.shape
    x = call.x.along(len(call.tensors[0].shape) - 1, rows)
    return mixed(x, count, _columns(kernel), axis=_last(call))


def _channels(call: Call, rank: int) -> int:
    return 1 if call.layer.data_format == "channels_first" else rank - 1


@transfer(L.Conv1D, L.Conv2D, L.Conv3D)
def _convolution(call: Call) -> Units:
    kernel = _tensor(call.layer.kernel)  # (taps…, channels of a group, new)
    axis, groups = _channels(call, len(kernel.shape)), call.layer.groups
    x = call.x.along(axis, kernel.shape[-2] * groups).indexed()
    if kernel.shape[-2] == 1:
        return _apart(x, np.reshape(kernel, (-1, groups, kernel.shape[-1] // groups)), axis)
    return mixed(x, kernel.shape[-1], _columns(kernel), axis=axis, groups=groups)


def _apart(x: Units, kernel: np.ndarray, axis: int) -> Units:
    """Each channel by itself leads to several: a kernel of (taps…, channels, of each)."""
    gains = log10(np.abs(kernel).reshape(-1, *kernel.shape[-2:]).max(0))
    if len(gains) != x.best.units:
        raise Unavailable(_OTHER)
    return Units(pick(x.best, np.repeat(np.arange(len(gains)), gains.shape[1]), gains.ravel()), axis)


@transfer(L.Conv1DTranspose, L.Conv2DTranspose, L.Conv3DTranspose)
def _transposed(call: Call) -> Units:
    kernel = _tensor(call.layer.kernel)  # (taps…, new, old)
    axis = _channels(call, len(kernel.shape))
    x = call.x.along(axis, kernel.shape[-1]).indexed()
    return mixed(
        x,
        kernel.shape[-2],
        lambda begin, end: np.swapaxes(np.asarray(kernel[..., begin:end, :]), -1, -2),
        axis=axis,
    )


@transfer(L.DepthwiseConv1D, L.DepthwiseConv2D)
def _depthwise(call: Call) -> Units:
    kernel = np.asarray(_tensor(call.layer.kernel))  # (taps…, channels, multiplier)
    axis = _channels(call, kernel.ndim)
    return _apart(call.x.along(axis, kernel.shape[-2]).indexed(), kernel, axis)


@transfer(L.SeparableConv1D, L.SeparableConv2D)
def _separable(call: Call) -> Units:
    """One layer: its edge is the largest of those through each of a channel's depthwise outputs."""
    depthwise, pointwise = (
        np.abs(np.asarray(_tensor(kernel))) for kernel in (call.layer.depthwise_kernel, call.layer.pointwise_kernel)
    )
    axis = _channels(call, depthwise.ndim)
    each = depthwise.reshape(-1, *depthwise.shape[-2:]).max(0)
    x = call.x.along(axis, len(each)).indexed()
    onward = pointwise.reshape(*each.shape, -1)
    return mixed(
        x,
        onward.shape[-1],
        lambda begin, end: (each[:, :, None] * onward[:, :, begin:end]).swapaxes(0, 1),
        axis=axis,
    )


@transfer(L.EinsumDense)
def _einsum_dense(call: Call) -> Units:
    """The channel that the kernel contracts leads to the last label that only the kernel has; other labels count as
    taps do. A channel that is not contracted stays one."""
    source, held, result = _labels(call)
    kernel = np.abs(np.asarray(_tensor(call.layer.kernel)))
    x = call.x.indexed()
    label = source[x.axis]
    if label in result:
        gains = kernel.max(tuple(place for place, each in enumerate(held) if each != label))
        return Units(pick(x.best, np.arange(x.best.units), log10(gains)), result.index(label))
    new = [each for each in result if each not in source]
    if label not in held or not new:
        raise Unavailable("its equation leaves no channel")
    order = [place for place, each in enumerate(held) if each not in (label, new[-1])]
    arranged = kernel.transpose(*order, held.index(label), held.index(new[-1]))
    return mixed(x, arranged.shape[-1], lambda begin, end: arranged[..., begin:end], axis=result.index(new[-1]))


def _labels(call: Call) -> tuple[str, str, str]:
    """Of input, kernel and output; what an ellipsis stands for has labels of its own."""
    rank = len(call.tensors[0].shape)
    given, result = call.layer.equation.replace(" ", "").split("->")
    source, held = given.split(",")
    free = "".join(chr(0x3B1 + number) for number in range(rank - len(source.replace("...", ""))))
    return source.replace("...", free), held, result.replace("...", free)


@transfer(L.Embedding)
def _embedding(call: Call) -> Units:
    """Ways begin here, each with the mean of |E| over the vocabulary."""
    rows = _tensor(call.layer.embeddings)
    total = np.zeros(rows.shape[1])
    step = max(1, _ELEMENTS // rows.shape[1])
    for begin in range(0, len(rows), step):
        total += np.abs(np.asarray(rows[begin : begin + step]).astype(np.float64)).sum(0)
    return Units(start(log10(total / len(rows)), call.k), _last(call))


@transfer(L.CategoryEncoding, L.HashedCrossing, L.StringLookup, L.IntegerLookup, L.TextVectorization, L.Hashing)
def _encoding(call: Call) -> Units:
    """Ways begin at each category, alike."""
    return Units(start(np.zeros(call.output.shape[-1] or 1), call.k), _last(call))
