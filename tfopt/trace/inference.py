"""Where an op belongs that does not say it: by its members, its neighbours in the graph, or its caller."""

from __future__ import annotations

from collections.abc import Callable

from tfopt.trace.graph import Graph, Node
from tfopt.trace.places import Charge
from tfopt.trace.scopes import OPTIMIZER, Place, ScopeTable

__all__ = ["gradient", "nearest", "split"]

_REACH = 6
_GRADIENT_OPCODES = frozenset({"convolution", "dot", "fusion", "copy", "call", "transpose", "reduce", "custom-call"})


def split(node: Node, scopes: ScopeTable) -> tuple[Charge, ...] | None:
    """The places of a node's own name or of its members, weighted by their work; None where nothing has a layer."""
    work: dict[Place, float] = {}
    for member in node.members:
        place = scopes.place(member.op_name) if member.op_name else None
        if place is not None and place.layer is not None and member.work > 0:
            work[place] = work.get(place, 0.0) + member.work
    if not work:
        place = scopes.place(node.op_name) if node.op_name else None
        return (Charge(place, 1.0),) if place is not None and place.layer is not None else None
    total = sum(work.values())
    ranked = sorted(work.items(), key=lambda item: -item[1])
    return tuple(Charge(place, amount / total) for place, amount in ranked)


def nearest(node: Node, graph: Graph, scopes: ScopeTable, depth: int = 0) -> Place | None:
    """The place of the nearest placed node: readers first, then what it reads, then its caller."""
    reader = _found(node, graph, scopes, lambda at: graph.users.get(at.id, ()))
    if reader is not None:
        return _as_gradient(node, reader, graph, scopes)
    source = _found(node, graph, scopes, lambda at: at.inputs)
    if source is not None:
        return source
    for caller in node.callers:
        parent = graph.nodes.get(caller)
        if parent is not None and depth < _REACH:
            charges = split(parent, scopes)
            return charges[0].place if charges is not None else nearest(parent, graph, scopes, depth + 1)
    return None


def gradient(node: Node, graph: Graph, scopes: ScopeTable) -> Place | None:
    """The place of an op of the backward pass that names no layer: most are sums of a tensor's gradients.

    Where all gradients come from one layer, that layer used the tensor several times (BatchNormalization its input for
    mean, variance and result) and the sum is its doing. Else it goes to the layer that reads it; and where only an
    update reads it, to the first that it comes from.
    """
    placed = [split(graph.nodes[key], scopes) for key in node.inputs if key in graph.nodes]
    sources = {charges[0].place.layer for charges in placed if charges is not None}
    if len(sources) == 1:
        return Place(sources.pop(), "backward")
    place = nearest(node, graph, scopes)
    if place is not None and place.phase == "optimizer":
        place = _found(node, graph, scopes, lambda at: at.inputs) or place
    return Place(place.layer, "backward") if place is not None else None


def _found(node: Node, graph: Graph, scopes: ScopeTable, neighbours: Callable[[Node], tuple[str, ...]]) -> Place | None:
    """The first placed node in one direction, breadth first."""
    frontier, seen = [node], {node.id}
    for _ in range(_REACH):
        reached = dict.fromkeys(key for at in frontier for key in neighbours(at) if key in graph.nodes)
        frontier = [graph.nodes[key] for key in reached if key not in seen]
        seen.update(reached)
        for found in frontier:
            charges = split(found, scopes)
            if charges is not None:
                return charges[0].place
    return None


def _as_gradient(node: Node, reader: Place, graph: Graph, scopes: ScopeTable) -> Place:
    """A heavy unnamed op that only a variable's update reads is the gradient of that variable."""
    if reader.phase != "optimizer" or reader.layer == OPTIMIZER or node.type not in _GRADIENT_OPCODES:
        return reader
    readers = [split(graph.nodes[key], scopes) for key in graph.users.get(node.id, ())]
    only_updates = all(charges is None or charges[0].place.phase == "optimizer" for charges in readers)
    return Place(reader.layer, "backward") if only_updates else reader
