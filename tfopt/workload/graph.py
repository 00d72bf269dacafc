"""The unoptimized graph of a traced step: what attribution and the precision census look things up in."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import tensorflow as tf

from tfopt.trace.graph import Graph, Node

__all__ = ["StepGraph"]

_MAIN = ""


class StepGraph:
    """The nodes of a step's graph and of the functions it calls (loop bodies, branches); empty in eager mode."""

    def __init__(self, concrete: Any | None) -> None:
        self._bodies: dict[str, list[Any]] = {}
        self._results: dict[str, set[str]] = {}
        if concrete is not None:
            definition = concrete.graph.as_graph_def(add_shapes=True)
            self._bodies[_MAIN] = list(definition.node)
            self._results[_MAIN] = {tensor.op.name for tensor in concrete.graph.outputs} | {
                operation.name for operation in concrete.graph.control_outputs
            }
            for function in definition.library.function:
                name = function.signature.name
                self._bodies[name] = list(function.node_def)
                self._results[name] = {
                    _source(value) for value in (*function.ret.values(), *function.control_ret.values())
                }

    def graph(self) -> Graph:
        """The nodes with their edges. The body of a function is called by the nodes that name it."""
        callers = self.callers
        return Graph.of(
            Node(
                _id(function, node.name),
                node.op,
                node.name,
                tuple(_id(function, _source(source)) for source in node.input),
                callers=tuple(callers.get(function, ())),
            )
            for function, nodes in self._bodies.items()
            for node in nodes
        )

    @cached_property
    def callers(self) -> dict[str, list[str]]:
        """The ids of the nodes that call each function."""
        callers: dict[str, list[str]] = defaultdict(list)
        for function, nodes in self._bodies.items():
            for node in nodes:
                for called in _called(node):
                    callers[called].append(_id(function, node.name))
        return callers

    def typed(self) -> Iterator[tuple[str, str, str]]:
        """(type, name, dtype) of every live node with a dtype attribute `T`.

        Keras tries a recurrent cell once before its loop, and TensorFlow rewrites the loop's body for the gradient:
        what leads to no result is left out, and a name in several bodies counts once.
        """
        seen = set()
        for _, node in self.live():
            if "T" in node.attr and node.attr["T"].type and node.name not in seen:  # a list of types has none
                seen.add(node.name)
                yield node.op, node.name, tf.as_dtype(node.attr["T"].type).name

    def live(self) -> Iterator[tuple[str, Any]]:
        """(function, node) of all that the results of the main graph, called `""`, and of every function called from a
        live node depend on, in the order of the graph: what is read comes before its readers. A node has the shapes of
        its results in the attribute `_output_shapes`."""
        pending, done = [_MAIN], set()
        while pending:
            function = pending.pop()
            if function in done or function not in self._bodies:
                continue
            done.add(function)
            nodes = {node.name: node for node in self._bodies[function]}
            reached, frontier = set(), list(self._results[function])
            while frontier:
                name = frontier.pop()
                if name in nodes and name not in reached:
                    reached.add(name)
                    frontier.extend(_source(source) for source in nodes[name].input)
                    pending.extend(_called(nodes[name]))
            yield from ((function, node) for node in self._bodies[function] if node.name in reached)


def _id(function: str, name: str) -> str:
    return f"{function}:{name}" if function else name


def _source(edge: str) -> str:
    """The node behind an edge such as `dense/MatMul:product:0` or `^assign`."""
    return edge.removeprefix("^").partition(":")[0]


def _called(node: Any) -> Iterator[str]:
    for value in node.attr.values():
        if value.func.name:
            yield value.func.name
        yield from (function.name for function in value.list.func)
