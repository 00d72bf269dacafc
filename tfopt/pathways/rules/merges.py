"""Where tensors meet: sums, products, gates, and the arithmetic of `keras.ops` with constants."""

from __future__ import annotations

import math
from functools import reduce
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfopt.pathways.interception import operation_class
from tfopt.pathways.nodes import is_data
from tfopt.pathways.rules.registry import Call, exactly, rule

__all__: list[str] = []

_GATE = "gate frozen"
_HALF = 0.5


def _is_constant(leaf: Any) -> bool:
    return isinstance(leaf, np.ndarray | tf.Tensor) and not is_data(leaf)


def _others(call: Call) -> list[Any]:
    """What is no floating-point tensor among the arguments of an operation: constants."""
    ours = {id(tensor) for tensor in call.tensors}
    return [exactly(leaf, call.x.dtype) for leaf in call.leaves if id(leaf) not in ours]


@rule(keras.layers.Add, keras.layers.Average, keras.layers.Concatenate, own=True)
def _sum(call: Call) -> Any:
    return call.proceed()


@rule(operation_class("Add"), own=True)
def _add(call: Call) -> Any:
    return reduce(tf.add, call.tensors) + sum(map(call.constant, _others(call)), tf.zeros((), call.x.dtype))


@rule(operation_class("Subtract"), own=True)
def _subtract_operation(call: Call) -> Any:
    first, second = call.args
    if len(call.tensors) == 2:
        return first + second if call.free else first - second
    sign = 1 if first is call.x else -1
    (constant,) = _others(call)
    return (call.x if call.free else sign * call.x) + call.constant(-sign * constant)


@rule(keras.layers.Subtract, own=True)
def _subtract(call: Call) -> Any:
    return reduce(tf.add, call.tensors) if call.free else call.proceed()


@rule(operation_class("Negative"), own=True)
def _negative(call: Call) -> Any:
    return tf.identity(call.x) if call.free else -call.x


@rule(operation_class("TrueDivide"), operation_class("Divide"), own=True)
def _divide(call: Call) -> Any:
    if len(call.tensors) == 1 and call.args[0] is call.x:
        (constant,) = _others(call)
        return call.x / (tf.abs(constant) if call.free else constant)
    if call.free or len(call.tensors) == 1:
        return call.proceed()
    call.tracer.mark("approximated", "denominator frozen")
    first, second = call.args
    return first / tf.stop_gradient(second)


@rule(keras.layers.Maximum, keras.layers.Minimum, operation_class("Maximum"), operation_class("Minimum"), own=True)
def _extreme(call: Call) -> Any:
    """Of several tensors without data: paths lead through each of them, as through max-pooling. Bounds do not bound;
    with data, one adds where it wins."""
    if call.free and len(call.tensors) == 1:
        call.tracer.mark("linearised", "clipped")
        return tf.identity(call.x)
    if len(call.tensors) == 1:
        y = call.proceed()
        won = tf.cast(tf.equal(y, call.x), y.dtype)
        return call.x * won + call.constant(tf.stop_gradient(y * (1 - won)))
    if not call.free or call.tracer.plan.maxpool == "max":
        return call.proceed()
    return reduce(tf.add, call.tensors)


@rule(keras.layers.Multiply, operation_class("Multiply"), own=True)
def _multiply(call: Call) -> Any:
    if len(call.tensors) == 1:
        return reduce(tf.multiply, (tf.abs(each) if call.free else each for each in _others(call)), call.x)
    return reduce(lambda product, factor: _product(call, product, factor), call.tensors)


@rule(
    operation_class("Matmul"), operation_class("Einsum"), operation_class("Dot"), keras.layers.Dot, own=True,
)  # fmt: skip
def _bilinear(call: Call) -> Any:
    """Half of the product belongs to each factor; all of it to the other where one is a frozen softmax, or a gate."""
    if len(call.tensors) != 2:
        absolute = lambda leaf: tf.abs(leaf) if call.free and _is_constant(leaf) else leaf  # noqa: E731
        return call.run(*keras.tree.map_structure(absolute, call.args), **call.kwargs)

    def with_frozen(place: int) -> Any:
        leaves = keras.tree.flatten((call.args, call.kwargs))
        factors = [number for number, leaf in enumerate(leaves) if any(leaf is each for each in call.tensors)]
        leaves[factors[place]] = tf.stop_gradient(leaves[factors[place]])
        args, kwargs = keras.tree.pack_sequence_as((call.args, call.kwargs), leaves)
        return call.run(*args, **kwargs)

    gates = [place for place, each in enumerate(call.tensors) if call.tracer.gate_value(each) is not None]
    if len(gates) == 1:
        call.tracer.mark("approximated", _GATE)
        return with_frozen(*gates)
    call.tracer.in_halves()
    return _HALF * (with_frozen(0) + with_frozen(1))


def _product(call: Call, u: Any, v: Any) -> Any:
    """u · v where one is a gate: that one frozen, at what it is for a zero pre-activation where there is no data."""
    gate = _which_gates(call, u, v)
    if gate is None:
        call.tracer.in_halves()
        return _HALF * (u * tf.stop_gradient(v) + tf.stop_gradient(u) * v)
    call.tracer.mark("approximated", _GATE)
    value = u if gate is v else v
    if not call.free:
        return value * tf.stop_gradient(gate)
    at_zero = call.tracer.gate_value(gate)
    return value * (_HALF if at_zero is None else tf.stop_gradient(at_zero))


def _which_gates(call: Call, u: Any, v: Any) -> Any | None:
    """What a squashing function made; else what was computed from the other; else the smaller, which is broadcast."""
    tracer = call.tracer
    gates = [each for each in (u, v) if tracer.gate_value(each) is not None]
    if len(gates) == 1:
        return gates[0]
    if tracer.depends(v, u):
        return v
    if tracer.depends(u, v):
        return u
    if gates:
        return gates[-1]
    sizes = [math.prod(size or 1 for size in each.shape) for each in (u, v)]
    return None if sizes[0] == sizes[1] else (u if sizes[0] < sizes[1] else v)
