"""Read a traced step into a program: calls are put in place, loops unrolled, what leads to no result is left out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import tensorflow as tf

from tfopt.workload.peak.kernels import KINDS, PRODUCTS, REUSES
from tfopt.workload.peak.program import Kind, Op, Program

__all__ = ["largest_product", "program_of"]

_LOOPS = ("While", "StatelessWhile")
_CALLS = ("PartitionedCall", "StatefulPartitionedCall")
_BRANCHES = {"If": ("then_branch", "else_branch"), "StatelessIf": ("then_branch", "else_branch")}
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
    """Bytes of the operands and result of the largest matrix product or convolution, variables apart: whatever a
    compiler merges, these exist at once."""
    stored = {id(op.outputs[0]) for op in concrete.graph.get_operations() if op.type == "ReadVariableOp"}
    return max(
        (
            sum(_bytes(tensor) or 0 for tensor in (*op.inputs, *op.outputs) if id(tensor) not in stored)
            for op in _live(concrete.graph)
            if op.type in PRODUCTS
        ),
        default=0,
    )


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
        for op in _live(graph):
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
        if op.type in _LOOPS:
            return self._loop(op, inputs, after)
        if op.type in _CALLS:
            return self.read(_body(op, "f"), inputs, after, weight)
        if op.type in _BRANCHES:  # the longer one: what loss scaling does where all gradients are finite
            bodies = [_body(op, name) for name in _BRANCHES[op.type]]
            return self.read(max(bodies, key=lambda body: len(body.get_operations())), inputs[1:], after, weight)
        if op.type in ("Identity", "ReadVariableOp") and op.outputs[0].dtype == tf.resource:
            return inputs
        outputs = [self.new() for _ in op.outputs]
        if op.type == "Const":
            number = tf.get_static_value(op.outputs[0])
            if number is not None and number.ndim == 0 and number.dtype.kind == "i":
                self._numbers[outputs[0]] = int(number)
        elif op.type == "Identity" and inputs[0] in self._numbers:
            self._numbers[outputs[0]] = self._numbers[inputs[0]]
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
        body = _body(op, "body")
        trips = self._trips(op, body, inputs)
        if trips is None:
            self.unknown += 1
            trips = 1
        rounds = min(trips, _MOST_ITERATIONS)
        state = inputs
        for _ in range(rounds):
            start = len(self.ops)
            state = self.read(body, state, after, trips / rounds)
            self.ops.append(Op(op.name, "free", after=tuple(range(start, len(self.ops)))))
            after = (len(self.ops) - 1,)
        for at, number in self._counters(body, inputs).items():
            self._numbers[state[at]] = self._numbers[inputs[at]] + trips * number
        return state

    def _trips(self, op: Any, body: Any, inputs: list[int]) -> int | None:
        """How often the loop runs: each `counter < limit` of its condition, the first that fails ends it."""
        condition = _body(op, "cond")
        position = {id(tensor): at for at, tensor in enumerate(condition.inputs)}
        counters = self._counters(body, inputs)
        found = []
        for compared in (each for each in condition.get_operations() if each.type == "Less"):
            counter, limit = compared.inputs
            at, bound = position.get(id(counter)), tf.get_static_value(limit)
            if bound is None and id(limit) in position:
                bound = self._numbers.get(inputs[position[id(limit)]])
            if at in counters and bound is not None:
                found.append(max(math.ceil((int(bound) - self._numbers[inputs[at]]) / counters[at]), 0))
        return min(found, default=None)

    def _counters(self, body: Any, inputs: list[int]) -> dict[int, int]:
        """The loop's variables that grow by a constant each time, by position; 0 where one stays as it is."""
        found = {}
        for at, (before, after) in enumerate(zip(body.inputs, body.outputs, strict=True)):
            while after.op.type == "Identity":
                after = after.op.inputs[0]
            if inputs[at] not in self._numbers:
                continue
            if after is before:
                found[at] = 0
            elif after.op.type in ("AddV2", "Add") and after.op.inputs[0] is before:
                step = tf.get_static_value(after.op.inputs[1])
                if step is not None:
                    found[at] = int(step)
        return found


def _body(op: Any, attribute: str) -> Any:
    return op.graph._get_function(op.get_attr(attribute).name).graph


def _live(graph: Any) -> Iterator[Any]:
    """The ops that the graph's results need, each after what it needs itself, otherwise in order of definition."""
    needed, pending = set(), [*(tensor.op for tensor in graph.outputs), *graph.control_outputs]
    while pending:
        op = pending.pop()
        if op not in needed:
            needed.add(op)
            pending.extend(_needs(op))
    done: set[Any] = set()
    for op in graph.get_operations():
        pending = [op] if op in needed else []
        while pending:
            missing = [other for other in _needs(pending[-1]) if other not in done]
            if missing:
                pending += reversed(missing)
                continue
            last = pending.pop()
            if last not in done:
                done.add(last)
                yield last


def _needs(op: Any) -> list[Any]:
    return [*(tensor.op for tensor in op.inputs), *op.control_inputs]


def _bytes(tensor: Any) -> int | None:
    """The size of a tensor or variable, None where its shape is not known."""
    if tensor.dtype in _SIZELESS:
        return 0
    elements = tensor.shape.num_elements()
    return None if elements is None else int(elements) * int(tensor.dtype.size)
