"""The unoptimized graph of a traced step: what attribution and the precision census look things up in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from tfopt.trace.graph import Graph, Node

__all__ = ["StepGraph"]


class StepGraph:
    """The nodes of a step's graph and of the functions it calls (loop bodies, branches); empty in eager mode."""

    def __init__(self, concrete: Any | None) -> None:
        self._nodes = list(_node_defs(concrete)) if concrete is not None else []

    def graph(self) -> Graph:
        """The nodes with their edges, by node name."""
        return Graph.of(
            Node(node.name, node.op, node.name, tuple(source.partition(":")[0] for source in node.input))
            for node in self._nodes
        )

    def typed(self) -> Iterator[tuple[str, str, str]]:
        """(type, name, dtype) of every node that has a dtype attribute `T`."""
        for node in self._nodes:
            if "T" in node.attr and node.attr["T"].type:  # a list of types has none
                yield node.op, node.name, tf.as_dtype(node.attr["T"].type).name


def _node_defs(concrete: Any) -> Iterator[Any]:
    definition = concrete.graph.as_graph_def()
    yield from definition.node
    for function in definition.library.function:
        yield from function.node_def
