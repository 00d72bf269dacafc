"""The live ops of a traced step as the finders of facts see them: type, dtypes, shapes, edges, layer and phase."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import tensorflow as tf

from tfopt.records.profile import Phase
from tfopt.trace.scopes import ScopeTable
from tfopt.workload.graph import StepGraph

__all__ = ["GraphOp", "Shape", "StepOps", "elements", "item_size"]

Shape = tuple[int, ...] | None
"""A static shape; None where a dimension is not known."""


@dataclass(frozen=True, eq=False)
class GraphOp:
    """One live op. `inputs` are edges such as `dense/MatMul:0`, within its function; `shapes` those of its results."""

    function: str
    name: str
    type: str
    inputs: tuple[str, ...]
    controls: tuple[str, ...]
    shapes: tuple[Shape, ...]
    layer: str | None
    phase: Phase | None
    node: Any

    def dtype(self, attribute: str = "T") -> str:
        """The dtype in this attribute, '' where it has none."""
        number = self.node.attr[attribute].type if attribute in self.node.attr else 0
        return str(tf.as_dtype(number).name) if number else ""

    @property
    def shape(self) -> Shape:
        """The shape of the first result."""
        return self.shapes[0] if self.shapes else None


@dataclass(frozen=True)
class StepOps:
    """All live ops, in the order of the graph."""

    ops: tuple[GraphOp, ...]
    _by_place: Mapping[tuple[str, str], GraphOp] = field(repr=False)

    @classmethod
    def of(cls, graph: StepGraph, scopes: ScopeTable) -> StepOps:
        """The ops of a traced step; those of a function that name no layer have their caller's."""
        callers = {function: ids[0].rpartition(":") for function, ids in graph.callers.items()}

        def place(function: str, name: str, depth: int = 0) -> tuple[str | None, Phase | None]:
            found = scopes.place(name)
            if (found is None or found.layer is None) and function in callers and depth < _NESTED:
                outer, _, caller = callers[function]
                layer, phase = place(outer, caller, depth + 1)
                return layer, (found.phase if found is not None else phase)
            return (found.layer, found.phase) if found is not None else (None, None)

        ops = tuple(_op(function, node, *place(function, node.name)) for function, node in graph.live())
        return cls(ops, {(op.function, op.name): op for op in ops})

    def typed(self, *types: str) -> Iterator[GraphOp]:
        """The ops of these types."""
        return (op for op in self.ops if op.type in types)

    def source(self, op: GraphOp, index: int) -> GraphOp | None:
        """The op whose result `op` reads at this place; None for an argument of its function."""
        if index >= len(op.inputs):
            return None
        return self._by_place.get((op.function, op.inputs[index].partition(":")[0]))

    def read_shape(self, op: GraphOp, index: int) -> Shape:
        """The shape of what `op` reads at this place."""
        source = self.source(op, index)
        if source is None:
            return None
        port = op.inputs[index].rpartition(":")[2]
        number = int(port) if len(source.shapes) > 1 and port.isdigit() else 0
        return source.shapes[number] if number < len(source.shapes) else None

    def constant(self, op: GraphOp, index: int) -> tuple[int, ...] | None:
        """The integers that `op` reads at this place, where they are a constant."""
        source = self.source(op, index)
        if source is None or source.type != "Const":
            return None
        values = tf.make_ndarray(source.node.attr["value"].tensor)
        return tuple(int(value) for value in values.ravel()) if values.dtype.kind == "i" else None

    def readers(self) -> Mapping[tuple[str, str], list[GraphOp]]:
        """The ops that read each op's results, by its function and name."""
        readers: dict[tuple[str, str], list[GraphOp]] = defaultdict(list)
        for op in self.ops:
            for edge in op.inputs:
                readers[op.function, edge.partition(":")[0]].append(op)
        return readers


_NESTED = 8


def _op(function: str, node: Any, layer: str | None, phase: Phase | None) -> GraphOp:
    return GraphOp(
        function,
        node.name,
        node.op,
        tuple(edge if ":" in edge else f"{edge}:0" for edge in node.input if not edge.startswith("^")),
        tuple(edge[1:] for edge in node.input if edge.startswith("^")),
        tuple(_shape(shape) for shape in node.attr["_output_shapes"].list.shape),
        layer,
        phase,
        node,
    )


def _shape(shape: Any) -> Shape:
    sizes = tuple(dim.size for dim in shape.dim)
    return None if shape.unknown_rank or -1 in sizes else sizes


def elements(shape: Shape) -> int:
    """How many numbers a tensor of this shape holds; 0 where it is not known."""
    return 0 if shape is None else math.prod(shape)


def item_size(dtype: str) -> int:
    """Bytes of one number of a dtype; 0 for what is no number."""
    return int(tf.as_dtype(dtype).size) if dtype and dtype not in ("string", "resource", "variant") else 0
