"""The same work done twice: ops of one type with equal attributes on equal inputs, found by numbering values.

Two results are equal if their ops have the same type and attributes and read equal values (Alpern, Wegman, Zadeck
1988). Ops with an effect are never equal, but two reads of one variable are if nothing is written between them.
TensorFlow removes such repetition itself where no read of a variable is in between, and keeps any of the equal ops.
What is left is told by the trace: a fact names each op with the one that it repeats, and advice speaks where both ran.

Private name of TensorFlow used here: `op_def_registry.get`. A test checks that it exists.
"""

from __future__ import annotations

import functools
from collections.abc import Hashable, Iterator

import msgspec
from tensorflow.python.framework import op_def_registry

from tfopt.records.advice import Fact
from tfopt.workload.facts.finding import TracedStep, fact_of
from tfopt.workload.facts.ops import GraphOp, elements

__all__ = ["repeated_work"]

_READ = "ReadVariableOp"
_ARGUMENTS = ("Placeholder",)
# What computes nothing: its repetition costs nothing.
_FREE = (_READ, "Const", "Identity", "IdentityN", "Reshape", "Shape", "ShapeN", "Squeeze", "ExpandDims", "NoOp")


def repeated_work(step: TracedStep) -> Iterator[Fact]:
    """Ops whose result another op has already computed."""
    numbers: dict[tuple[str, str], int] = {}  # of each op, by function and name
    first: dict[Hashable, tuple[int, GraphOp]] = {}  # the number of a value, and the op that has it first
    repeated: dict[GraphOp, GraphOp] = {}
    for op in step.ops.ops:
        key = _key(op, numbers)
        if key in first and op.type not in _FREE and elements(op.shape) > 1:
            repeated[op] = first[key][1]
        numbers[op.function, op.name] = first.setdefault(key, (len(first), op))[0]
    if repeated:
        fact = fact_of("repeated_work", repeated, named=True)
        yield msgspec.structs.replace(fact, repeats=tuple(op.name for op in repeated.values()))


def _key(op: GraphOp, numbers: dict[tuple[str, str], int]) -> Hashable:
    """What an op's value follows from; the op itself where nothing else has the same value."""
    if op.type in _ARGUMENTS or (_stateful(op.type) and op.type != _READ):
        return op.function, op.name
    attributes = tuple(
        (name, value.SerializeToString(deterministic=True))
        for name, value in sorted(op.node.attr.items())
        if not name.startswith("_")
    )
    inputs = tuple(_value(op, edge, numbers) for edge in op.inputs)
    return op.type, attributes, inputs, frozenset(op.controls) if op.type == _READ else ()


def _value(op: GraphOp, edge: str, numbers: dict[tuple[str, str], int]) -> Hashable:
    name, _, port = edge.partition(":")
    return numbers.get((op.function, name), (op.function, name)), port


@functools.cache
def _stateful(type_: str) -> bool:
    definition = op_def_registry.get(type_)
    return definition is None or bool(definition.is_stateful)
