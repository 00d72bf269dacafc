"""Read a traced step into a program: calls are put in place, loops unrolled, what leads to no result is left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import tensorflow as tf

from tfopt.model.graphs import LOOPS, alternatives, called, growth, live, loop_body, static, turns
from tfopt.workload.peak.kernels import KINDS, PRODUCTS, REUSES
from tfopt.workload.peak.program import Kind, Op, Program

__all__ = ["largest_product", "program_of"]

_SIZELESS = (tf.resource, tf.variant, tf.string)
# A loop is unrolled this often; each tensor that it keeps then stands for as many as are missing.
_MOST_ITERATIONS = 64
# A matrix product takes about this much longer than an op that only touches as many bytes.
_PRODUCT = 8


def program_of(concrete: Any) -> Program:
    """The program of a concrete function: shapes are those that it was traced with."""
    graph = concrete.graph
    reader = _Reader()
    handles = {id(variable.handle): _bytes(variable) or 0 for variable in graph.variables}
    results = reader.read(graph, [reader.new() for _ in graph.inputs], ())
    variables = {
        reader.argument(graph, inner): handles[id(outer)] for outer, inner in graph.captures if id(outer) in handles
    }
    return Program(tuple(reader.ops), tuple(results), variables, reader.unknown)


def largest_product(concrete: Any) -> int:
    """Bytes of the operands and result of the largest matrix product or convolution: what an op computes for it, and
    what it gives, exist at once. The step's arguments (the batch) and variables are there without it."""
    given = {id(tensor) for tensor in concrete.graph.inputs}
    largest = 0
    for op in live(concrete.graph):
        if op.type == "ReadVariableOp" or (op.inputs and id(op.inputs[0]) in given and KINDS.get(op.type) == "share"):
            given.update(map(id, op.outputs))
        elif op.type in PRODUCTS:
            held = {id(tensor): _bytes(tensor) or 0 for tensor in (*op.inputs, *op.outputs) if id(tensor) not in given}
            largest = max(largest, sum(held.values()))
    return largest


@dataclass
class _Reader:
    ops: list[Op] = field(default_factory=list)
    unknown: int = 0
    _values: int = 0
    _numbers: dict[int, int] = field(default_factory=dict)  # what is known of scalar integers, for loop counts
    _arguments: dict[tuple[int, int], int] = field(default_factory=dict)

    def new(self) -> int:
        self._values += 1
        return self._values

    def argument(self, graph: Any, inner: Any) -> int:
        return self._arguments[id(graph), id(inner)]

    def read(self, graph: Any, arguments: Sequence[int], after: tuple[int, ...], weight: float = 1.0) -> list[int]:
        """Append the ops of `graph` for these arguments, each to run `after` others. Returns its results."""
        values = {id(tensor): value for tensor, value in zip(graph.inputs, arguments, strict=True)}
        self._arguments.update({(id(graph), tensor): value for tensor, value in values.items()})
        places: dict[Any, tuple[int, ...]] = {}
        for op in live(graph):
            if op.outputs and id(op.outputs[0]) in values:  # an argument
                continue
            inputs = [values[id(tensor)] for tensor in op.inputs]
            needs = (*after, *(place for control in op.control_inputs for place in places.get(control, ())))
            start = len(self.ops)
            outputs = self._op(op, inputs, needs, weight)
            places[op] = tuple(range(start, len(self.ops)))
            values.update(zip(map(id, op.outputs), outputs, strict=True))
        return [values[id(tensor)] for tensor in graph.outputs]

    def _op(self, op: Any, inputs: list[int], after: tuple[int, ...], weight: float) -> list[int]:
        if op.type in LOOPS:
            return self._loop(op, inputs, after)
        if (function := called(op)) is not None:
            return self.read(function, inputs, after, weight)
        if branches := alternatives(op):  # the longest one: what loss scaling does where all gradients are finite
            longest = max(branches, key=lambda body: len(body.get_operations()))
            return self.read(longest, inputs[1:], after, weight)
        if op.type in ("Identity", "ReadVariableOp") and op.outputs[0].dtype == tf.resource:
            return inputs
        outputs = [self.new() for _ in op.outputs]
        if op.type == "Identity" and inputs[0] in self._numbers:
            self._numbers[outputs[0]] = self._numbers[inputs[0]]
        elif len(outputs) == 1 and op.outputs[0].shape.rank == 0 and (number := static(op.outputs[0])) is not None:
            self._numbers[outputs[0]] = number
        self.ops.append(self._plain(op, inputs, outputs, after, weight))
        return outputs

    def _plain(self, op: Any, inputs: list[int], outputs: list[int], after: tuple[int, ...], weight: float) -> Op:
        lists = any(tensor.dtype == tf.variant for tensor in op.outputs)
        kind: Kind = KINDS.get(op.type, "copy" if lists and op.type in ("ZerosLike", "AddN") else "compute")
        sizes = [self._size(tensor) for tensor in op.outputs]
        if op.type == "TensorListFromTensor":
            sizes = [self._size(op.inputs[0])]
        touched = sum(sizes) + sum(_bytes(tensor) or 0 for tensor in op.inputs)
        return Op(
            op.name,
            kind,
            (inputs[0], inputs[-1]) if kind == "push" else tuple(inputs),
            tuple(outputs),
            tuple(sizes),
            after,
            tuple(at for at in REUSES.get(op.type, ()) if at < len(inputs)),
            cost=touched * (_PRODUCT if op.type in PRODUCTS else 1) if kind == "compute" else 0,
            weight=weight,
        )

    def _size(self, tensor: Any) -> int:
        size = _bytes(tensor)
        self.unknown += size is None and tensor.shape.rank != 1  # vectors of unknown length are shapes and axes
        return size or 0

    def _loop(self, op: Any, inputs: list[int], after: tuple[int, ...]) -> list[int]:
        body = loop_body(op)
        known = turns(op, lambda at: self._numbers.get(inputs[at]))
        self.unknown += known is None
        trips = 1 if known is None else known
        rounds = min(trips, _MOST_ITERATIONS)
        state = inputs
        for _ in range(rounds):
            start = len(self.ops)
            state = self.read(body, state, after, trips / rounds)
            self.ops.append(Op(op.name, "free", after=tuple(range(start, len(self.ops)))))
            after = (len(self.ops) - 1,)
        for at, step in growth(body).items():
            if inputs[at] in self._numbers and known is not None:
                self._numbers[state[at]] = self._numbers[inputs[at]] + trips * step
        return state


def _bytes(tensor: Any) -> int | None:
    """The size of a tensor or variable, None where its shape is not known."""
    if tensor.dtype in _SIZELESS:
        return 0
    elements = tensor.shape.num_elements()
    return None if elements is None else int(elements) * int(tensor.dtype.size)
