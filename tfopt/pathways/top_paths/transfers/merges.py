"""Where tensors meet: sums keep the best ways of all, a product follows what is gated."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np

from tfopt.pathways.interception import operation_class
from tfopt.pathways.rules.activations import GATING
from tfopt.pathways.top_paths.best import merge, pick, stack
from tfopt.pathways.top_paths.transfers.diagonal import scaled
from tfopt.pathways.top_paths.transfers.registry import Call, Unavailable, Units, transfer
from tfopt.pathways.top_paths.wiring import Tensor

__all__ = ["function_of", "summed"]

L = keras.layers

_HALF = 0.5


def function_of(operation: Any) -> str:
    """The name of a layer's activation function, or of the operation itself, in one word."""
    activation = getattr(operation, "activation", operation)
    name = getattr(activation, "__name__", None) or type(activation).__name__
    return str(name).lower().replace("_", "")


_GATES = {name.replace("_", ""): _HALF if "sigmoid" in name else 0.0 for name in GATING}  # and their value at zero


def summed(call: Call, tensors: list[Tensor]) -> Units:
    """The best ways of all tensors; of parallel edges between the same two units the largest, which are equal here."""
    rank = len(call.output.shape)
    found = [_lifted(call.units(tensor), len(tensor.shape), rank) for tensor in dict.fromkeys(tensors)]
    axis = max(found, key=lambda x: x.best.units).axis
    size = call.output.shape[axis] or max(x.best.units for x in found)
    return Units(merge([_broadcast(x, axis, size).best for x in found]), axis)


def _lifted(x: Units, rank: int, to: int) -> Units:
    """Without the places of a flattened axis, counted as in a tensor of another rank."""
    x = x.indexed()
    return Units(x.best, x.axis + to - rank)


def _broadcast(x: Units, axis: int, size: int) -> Units:
    x = x.along(axis, size)
    if x.best.units not in (1, size):
        raise Unavailable("it joins tensors of different numbers of channels")
    return x if x.best.units == size else Units(pick(x.best, np.zeros(size, int)), axis)


@transfer(
    L.Add, L.Subtract, L.Maximum, L.Minimum,
    *map(operation_class, ("Add", "Subtract", "Maximum", "Minimum")),
)  # fmt: skip
def _sum(call: Call) -> Units:
    return summed(call, call.tensors)


@transfer(L.Average)
def _average(call: Call) -> Units:
    """A sum times 1 / n."""
    return scaled(summed(call, call.tensors), 1 / len(call.tensors), ())


@transfer(L.Concatenate, operation_class("Concatenate"))
def _concatenate(call: Call) -> Units:
    found = [call.units(tensor).indexed() for tensor in call.tensors]
    axis = call.layer.axis % len(call.output.shape)
    if all(x.axis == axis for x in found):
        return Units(stack([x.best for x in found]), axis)
    if len({x.axis for x in found}) == 1:
        return summed(call, call.tensors)
    raise Unavailable("it joins tensors whose channels are along different axes")


@transfer(operation_class("Divide"), operation_class("TrueDivide"))
def _divide(call: Call) -> Units:
    numerator, denominator = call.made.args
    if isinstance(denominator, Tensor) or not isinstance(numerator, Tensor):
        raise Unavailable("it divides by a tensor")
    return _times(call.x, call, 1 / np.asarray(denominator, np.float64))


@transfer(L.Multiply, operation_class("Multiply"))
def _multiply(call: Call) -> Units:
    value, *others = call.tensors
    if not others:
        constants = [leaf for leaf in call.made.args if not isinstance(leaf, Tensor)]
        return _times(call.x, call, math.prod(np.asarray(each, np.float64) for each in constants))
    factor = 1.0
    for other in others:
        gate = _which_gates(value, other)
        factor *= _at_zero(gate)
        value = other if gate is value else value
    x = _lifted(call.units(value), len(value.shape), len(call.output.shape))
    axis = x.axis
    return scaled(_broadcast(x, axis, call.output.shape[axis] or x.best.units), factor, ())


def _times(x: Units, call: Call, factors: Any) -> Units:
    rank = len(call.output.shape)
    return scaled(x, factors, range(rank - np.ndim(factors), rank))


def _at_zero(gate: Tensor) -> float:
    return _GATES.get(function_of(gate.maker.operation), _HALF) if gate.maker else _HALF


def _which_gates(u: Tensor, v: Tensor) -> Tensor:
    """What a squashing function made; else what was computed from the other; else the smaller, which is broadcast."""
    gates = [each for each in (u, v) if each.maker and function_of(each.maker.operation) in _GATES]
    if len(gates) == 1:
        return gates[0]
    for later, earlier in ((v, u), (u, v)):
        if later.maker and (earlier.maker is None or later.maker.ancestors >> earlier.maker.number & 1):
            return later
    if gates:
        return gates[-1]
    if u.size == v.size:
        raise Unavailable("it multiplies two tensors of which none gates the other")
    return u if u.size < v.size else v
