"""Attention: ways lead from the values, through each head, to its outputs.

Names used here that are private in Keras: `PRIVATE`; a test checks that they exist.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from tfopt.pathways.top_paths.best import passed, pick
from tfopt.pathways.top_paths.transfers.linear import mixed
from tfopt.pathways.top_paths.transfers.registry import Call, Unavailable, Units, transfer
from tfopt.pathways.top_paths.wiring import Tensor

__all__ = ["PRIVATE"]

L = keras.layers

PRIVATE = ("_value_dense", "_output_dense")


@transfer(L.MultiHeadAttention, L.GroupQueryAttention)
def _heads(call: Call) -> Units:
    """Two steps: to (head, dimension) as the channels of the layer inside that makes values, and from them."""
    inward, outward = (getattr(call.layer, name) for name in PRIVATE)
    values, outputs = (np.asarray(keras.ops.convert_to_tensor(each.kernel)) for each in (inward, outward))
    value = call.made.kwargs.get("value", call.made.args[1] if len(call.made.args) > 1 else None)
    if not isinstance(value, Tensor) or len(outputs.shape) != 3:
        raise Unavailable("it attends over several axes")
    x = call.units(value)
    x = x.along(len(value.shape) - 1, values.shape[0]).indexed()
    groups, size = values.shape[1:]
    flat = values.reshape(len(values), -1)
    heads = mixed(x, groups * size, lambda begin, end: flat[:, begin:end], axis=x.axis)
    path, number = call.made.path, call.made.call
    best = heads.best.at((f"{path}/{inward.name}", number))
    # Several heads of queries share one of values.
    shared = np.arange(groups * size).reshape(groups, 1, size)
    repeated = np.broadcast_to(shared, (groups, outputs.shape[0] // groups, size)).ravel()
    onward = Units(pick(best, repeated), x.axis)
    flat_outputs = outputs.reshape(-1, outputs.shape[-1])
    return mixed(
        onward, outputs.shape[-1], lambda begin, end: flat_outputs[:, begin:end], axis=len(call.output.shape) - 1
    )


@transfer(L.Attention, L.AdditiveAttention)
def _attention(call: Call) -> Units:
    inputs: Any = call.made.kwargs.get("inputs", call.made.args[0] if call.made.args else ())
    x = call.units(inputs[1])
    return Units(passed(x.indexed().best), x.axis)
