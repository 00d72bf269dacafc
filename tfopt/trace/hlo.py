"""Read the XLA programs of a trace (`/host:metadata`) into graphs.

Every compiled program is stored as an HloProto whose instructions name the TensorFlow op they came from
(`metadata.op_name`). A fusion is one instruction that does the work of many; its members are listed with an estimate
of their work, so that its time can be split among the layers they belong to.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from google.protobuf.message import DecodeError

from tfopt.errors import InputError
from tfopt.trace.graph import Graph, Member, Node
from tfopt.trace.protos import message, text
from tfopt.trace.xspace import Space

__all__ = ["instructions", "program", "programs", "stored"]

_PROTO_STATS = ("Hlo Proto", "hlo_proto")
# Work per output element; whatever is not listed counts as 1. The values are rough instruction counts.
_FREE = dict.fromkeys(
    ("parameter", "constant", "get-tuple-element", "tuple", "bitcast", "reshape", "broadcast", "iota"), 0.0
)
_COSTLY = dict.fromkeys(
    (
        "exponential",
        "log",
        "tanh",
        "logistic",
        "power",
        "rsqrt",
        "sqrt",
        "cosine",
        "sine",
        "erf",
        "log-plus-one",
    ),
    10.0,
)
_WORK_PER_ELEMENT = {**_FREE, **_COSTLY, "divide": 4.0, "remainder": 4.0}
# No tensor holds more elements; what a damaged shape declares would not fit into a number.
_MOST_ELEMENTS = 1e20
# These touch each element of what they read, not just of what they write.
_READERS = frozenset({"reduce", "scatter"})


def programs(space: Space) -> dict[int, Graph]:
    """The graph of each XLA program in the trace, by program id. Node ids are instruction names."""
    return {key: _graph(proto.hlo_module) for key, proto in stored(space)}


def program(encoded: bytes) -> Any:
    """The HloProto in these bytes. Raises DecodeError."""
    return message("HloProto").FromString(encoded)


def instructions(proto: Any) -> Iterator[tuple[str, str]]:
    """Opcode and name of the TensorFlow op (may be empty) of every instruction, those inside fusions too."""
    for computation in proto.hlo_module.computations:
        for instruction in computation.instructions:
            yield text(instruction.opcode), text(instruction.metadata.op_name)


def stored(space: Space) -> Iterator[tuple[int, Any]]:
    """The HloProto of each XLA program in the trace, with the program's id. Raises InputError for a damaged one."""
    plane = space.plane("/host:metadata")
    for key, kind in plane.kinds.items() if plane is not None else ():
        encoded = next((kind.stats[name] for name in _PROTO_STATS if name in kind.stats), None)
        if isinstance(encoded, bytes):
            try:
                yield key, program(encoded)
            except DecodeError as error:
                raise InputError(f"the XLA program {kind.name} is damaged", "record the trace again") from error


def _graph(module: Any) -> Graph:
    computations = {computation.id: computation for computation in module.computations}
    fused = {
        called
        for computation in module.computations
        for instruction in computation.instructions
        if instruction.opcode == "fusion"
        for called in instruction.called_computation_ids
    }
    callers: dict[int, list[str]] = defaultdict(list)
    for computation in module.computations:
        for instruction in computation.instructions:
            for called in instruction.called_computation_ids:
                callers[called].append(text(instruction.name))
    nodes = []
    for computation in module.computations:
        if computation.id in fused:
            continue
        names = {instruction.id: text(instruction.name) for instruction in computation.instructions}
        for instruction in computation.instructions:
            members = _members(instruction, computations) if instruction.opcode == "fusion" else ()
            nodes.append(
                Node(
                    text(instruction.name),
                    text(instruction.opcode),
                    text(instruction.metadata.op_name),
                    tuple(names[operand] for operand in instruction.operand_ids if operand in names),
                    members,
                    tuple(dict.fromkeys(callers[computation.id])),
                )
            )
    return Graph.of(nodes)


def _members(fusion: Any, computations: dict[int, Any]) -> tuple[Member, ...]:
    """What a fusion does, those that it holds included; each computation once, even if it calls itself."""
    found: list[Member] = []
    pending = list(reversed(fusion.called_computation_ids))
    seen: set[int] = set()
    while pending:
        called = pending.pop()
        if called in seen or called not in computations:
            continue
        seen.add(called)
        instructions = computations[called].instructions
        shapes = {instruction.id: instruction.shape for instruction in instructions}
        for instruction in instructions:
            if instruction.opcode == "fusion":
                pending.extend(instruction.called_computation_ids)
            else:
                name = text(instruction.metadata.op_name)
                found.append(Member(name, text(instruction.opcode), _work(instruction, shapes)))
    return tuple(found)


def _work(instruction: Any, shapes: dict[int, Any]) -> float:
    """Estimated work of one instruction: its multiply-adds twice, or its elements times the work for each."""
    written = _elements(instruction.shape)
    operands = [shapes[operand] for operand in instruction.operand_ids if operand in shapes]
    if instruction.opcode in _PER_ELEMENT:
        return _PER_ELEMENT[instruction.opcode](instruction, operands) * written
    if instruction.opcode in _READERS:
        return max([written, *(_elements(shape) for shape in operands)])
    return _WORK_PER_ELEMENT.get(instruction.opcode, 1.0) * written


def _of_dot(instruction: Any, operands: list[Any]) -> float:
    """Every output element sums over the contracted dimensions."""
    sizes = operands[0].dimensions if operands else ()
    contracted = instruction.dot_dimension_numbers.lhs_contracting_dimensions
    return 2.0 * _count(sizes[at] for at in contracted if 0 <= at < len(sizes))


def _of_convolution(instruction: Any, operands: list[Any]) -> float:
    """Every output element sums over the kernel of its output feature."""
    kernel = operands[1].dimensions if len(operands) > 1 else ()
    feature = instruction.convolution_dimension_numbers.kernel_output_feature_dimension
    return 2.0 * _count(size for at, size in enumerate(kernel) if at != feature)


def _of_window(instruction: Any, operands: list[Any]) -> float:
    return _count(dimension.size for dimension in instruction.window.dimensions)


_PER_ELEMENT = {
    "dot": _of_dot,
    "convolution": _of_convolution,
    "reduce-window": _of_window,
    "select-and-scatter": _of_window,
}


def _elements(shape: Any) -> float:
    if shape.tuple_shapes:
        return sum(_elements(part) for part in shape.tuple_shapes)
    return _count(shape.dimensions)


def _count(lengths: Iterable[int]) -> float:
    return min(math.prod(float(max(length, 0)) for length in lengths), _MOST_ELEMENTS)
