"""Layers that pass each channel on, and those that move numbers to other places."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from tfopt.pathways.channelwise import CHANNELWISE, GLOBAL_POOLING
from tfopt.pathways.interception import operation_class
from tfopt.pathways.top_paths.best import NONE, Best, mix, passed, pick
from tfopt.pathways.top_paths.transfers.registry import Call, Unavailable, Units, log10, transfer, transfer_for
from tfopt.pathways.top_paths.wiring import Tensor

__all__ = ["placed"]

L = keras.layers

_ELEMENTS = 2**22  # of the edges between units at once
_OPERATIONS = (
    "Reshape Transpose Squeeze ExpandDims GetItem Flip Repeat Tile Moveaxis Swapaxes Ravel BroadcastTo Pad Roll Split"
)


@transfer(
    *CHANNELWISE,
    L.Softmax,
    L.UnitNormalization,
    *map(operation_class, ("Negative", "Clip", "Absolute", "Tanh", "Copy")),
)
def _pass(call: Call) -> Units:
    """What is averaged over places has weights that add up to 1. That a softmax in the midst ends ways is seen to
    where functions of layers are."""
    return replace(call.x, best=passed(call.x.best))


@transfer(*GLOBAL_POOLING)
def _pool(call: Call) -> Units:
    shape, first = call.tensors[0].shape, call.layer.data_format == "channels_first"
    axis = 1 if first else len(shape) - 1
    x = call.x.along(axis, shape[axis] or 1).indexed()
    return Units(passed(x.best), axis if call.layer.keepdims else 1)


@transfer(operation_class("Mean"), operation_class("Sum"), operation_class("Max"), operation_class("Amax"))
def _reduce(call: Call) -> Units:
    rank, x = len(call.tensors[0].shape), call.x.indexed()
    axis = call.layer.axis
    axes = set(range(rank)) if axis is None else {each % rank for each in ([axis] if isinstance(axis, int) else axis)}
    if x.axis in axes or 0 in axes:
        raise Unavailable("it joins the channels")
    return Units(passed(x.best), x.axis if call.layer.keepdims else x.axis - sum(each < x.axis for each in axes))


@transfer(L.Flatten, L.Reshape, L.Permute, L.RepeatVector, *map(operation_class, _OPERATIONS.split()))
def _move(call: Call) -> list[Units]:
    """The layer itself is run on the numbers of units, which tells where each went."""
    x, shape = call.x.indexed(), [each or 1 for each in call.tensors[0].shape]
    along = [1] * len(shape)
    along[x.axis] = -1
    numbers = np.broadcast_to(np.arange(1, x.best.units + 1, dtype="float32").reshape(along), shape)
    numbered = keras.ops.convert_to_tensor(numbers)
    args, kwargs = keras.tree.map_structure(
        lambda leaf: numbered if isinstance(leaf, Tensor) else leaf, (call.made.args, call.made.kwargs)
    )
    if isinstance(call.layer, L.Layer):  # what else it was told (training) is for `__call__`
        args, kwargs = [numbered], {}
    # Not by calling the layer, which might round numbers to its dtype.
    results = keras.tree.flatten(call.layer.call(*args, **kwargs))
    return [placed(x.best, np.rint(np.asarray(result)).astype(int) - 1) for result in results]


def placed(best: Best, places: np.ndarray) -> Units:
    """The units of a tensor, of which it is known to which unit each element belongs (`NONE`: to none)."""
    for axis in reversed(range(1, places.ndim)):
        line = np.moveaxis(places, axis, -1).reshape(-1, places.shape[axis])
        if (line == line[0]).all():
            again = len(np.unique(line[0])) < line.shape[1]
            return Units(passed(best), axis, line[0]) if again else Units(pick(best, line[0]), axis)
    return Units(mix(best, ((0, log10(edges)) for edges in _joined(best.units, places))), places.ndim - 1)


def _joined(units: int, places: np.ndarray) -> Iterator[np.ndarray]:
    """An edge of 1 from each unit to each index of the last axis where it went, in blocks of these."""
    places = places.reshape(-1, places.shape[-1])
    width = max(1, _ELEMENTS // units)
    for begin in range(0, places.shape[1], width):
        block = places[:, begin : begin + width]
        edges = np.zeros((units, block.shape[1]))
        held = block != NONE
        edges[block[held], np.broadcast_to(np.arange(block.shape[1]), block.shape)[held]] = 1
        yield edges


@transfer(L.TimeDistributed)
def _time_distributed(call: Call) -> Any:
    """What the layer inside does, at each time."""
    inner = transfer_for(type(call.layer.layer))
    if inner is None:
        raise Unavailable(f"no rule is known for {type(call.layer.layer).__name__}")
    (before,), after = call.tensors, call.output
    x = call.x.indexed()
    if x.axis < 2:
        raise Unavailable("its channels are the times")
    taken = _at_one_time(before)
    made = replace(call.made, operation=call.layer.layer, args=(taken,), kwargs={}, outputs=_at_one_time(after))
    found = inner(replace(call, made=made, states={taken: Units(x.best, x.axis - 1)}))
    (units,) = found if isinstance(found, list) else [found]
    return Units(units.best, units.axis + 1, units.place)


def _at_one_time(tensor: Tensor) -> Tensor:
    return replace(tensor, shape=(tensor.shape[0], *tensor.shape[2:]))
