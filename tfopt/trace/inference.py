"""Where an op belongs that does not say it: by its members, its neighbours in the graph, or its callers.

What only one layer needs is that layer's `own`, named or not: XLA drops the names of filter gradients and layout
copies, yet whatever reads them, down to the first op with a name, is one layer's. Where readers disagree the place is
a guess, `inferred`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tfopt.records.profile import Source
from tfopt.trace.graph import Graph, Node
from tfopt.trace.places import Charge
from tfopt.trace.scopes import OPTIMIZER, Place, ScopeTable

__all__ = ["Found", "gradient", "nearest", "split"]

_REACH = 6
_CROWD = 64
_GRADIENT_OPCODES = frozenset({"convolution", "dot", "fusion", "copy", "call", "transpose", "reduce", "custom-call"})


@dataclass(frozen=True)
class Found:
    """The places of an op that were found by the graph, and whether they are certain (`own`) or a guess."""

    charges: tuple[Charge, ...]
    source: Source

    @classmethod
    def of(cls, charges: tuple[Charge, ...]) -> Found:
        """What an op's own name or members say: certain where they are of one layer."""
        return cls(charges, "own" if _one_layer(charges) else "inferred")

    @classmethod
    def at(cls, place: Place, *, certain: bool) -> Found:
        """All of it at one place."""
        return cls((Charge(place, 1.0),), "own" if certain else "inferred")


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


def nearest(node: Node, graph: Graph, scopes: ScopeTable, depth: int = 0) -> Found | None:
    """The place of the nearest placed node: readers first, then what it reads, then its callers, in equal parts."""
    reader = _first(node, graph, scopes, graph.readers)
    if reader is not None:
        certain = _layers_served(node, graph, scopes) == {reader.layer}
        return Found.at(_as_gradient(node, reader, graph, scopes), certain=certain)
    source = _first(node, graph, scopes, lambda at: at.inputs)
    if source is not None:
        return Found.at(source, certain=False)
    parents = [graph.nodes[caller] for caller in node.callers if caller in graph.nodes]
    found = [found for parent in parents if depth < _REACH and (found := _of_caller(parent, graph, scopes, depth + 1))]
    if len(found) <= 1:
        return found[0] if found else None
    shared = tuple(Charge(c.place, c.fraction / len(found)) for one in found for c in one.charges)
    certain = _one_layer(shared) and all(one.source == "own" for one in found)
    return Found(_summed(shared), "own" if certain else "inferred")


def gradient(node: Node, graph: Graph, scopes: ScopeTable) -> Found | None:
    """The place of an op of the backward pass that names no layer: most are sums of a tensor's gradients.

    Where all gradients come from one layer, that layer used the tensor several times (BatchNormalization its input for
    mean, variance and result) and the sum is its doing. Else it goes to the layer that reads it; and where only an
    update reads it, to the first that it comes from.
    """
    placed = [split(graph.nodes[key], scopes) for key in node.inputs if key in graph.nodes]
    sources = {charge.place.layer for charges in placed for charge in charges or ()} | ({None} & {*placed})
    known = sources - {None}
    if len(known) == 1:
        return Found.at(Place(known.pop(), "backward"), certain=len(sources) == 1)
    found = nearest(node, graph, scopes)
    if found is None:
        return None
    if found.charges[0].place.phase == "optimizer":
        source = _first(node, graph, scopes, lambda at: at.inputs)
        found = Found.at(source, certain=False) if source is not None else found
    return Found(tuple(Charge(Place(c.place.layer, "backward"), c.fraction) for c in found.charges), found.source)


def _of_caller(parent: Node, graph: Graph, scopes: ScopeTable, depth: int) -> Found | None:
    charges = split(parent, scopes)
    if charges is None:
        return nearest(parent, graph, scopes, depth)
    return Found.of(charges)


def _one_layer(charges: Iterable[Charge]) -> bool:
    return len({charge.place.layer for charge in charges}) == 1


def _summed(charges: Iterable[Charge]) -> tuple[Charge, ...]:
    fractions: dict[Place, float] = {}
    for charge in charges:
        fractions[charge.place] = fractions.get(charge.place, 0.0) + charge.fraction
    return tuple(Charge(place, fraction) for place, fraction in fractions.items())


def _first(node: Node, graph: Graph, scopes: ScopeTable, neighbours: Callable[[Node], tuple[str, ...]]) -> Place | None:
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


def _layers_served(node: Node, graph: Graph, scopes: ScopeTable) -> set[str | None]:
    """The layers of the first placed readers on every way that the node's result takes; None among them where a way
    ends without one. What leaves a called computation is read by its callers."""
    layers: set[str | None] = set()
    pending, seen = [node], {node.id}
    while pending and len(seen) < _CROWD:
        at = pending.pop()
        readers = [graph.nodes[key] for key in (graph.readers(at) or at.callers) if key in graph.nodes]
        if not readers or len(readers) > _CROWD:
            return layers | {None}
        for reader in readers:
            if reader.id in seen:
                continue
            seen.add(reader.id)
            charges = split(reader, scopes)
            if charges is None:
                pending.append(reader)
            else:
                layers.update(charge.place.layer for charge in charges)
    return layers | {None} if pending else layers


def _as_gradient(node: Node, reader: Place, graph: Graph, scopes: ScopeTable) -> Place:
    """A heavy unnamed op that only a variable's update reads is the gradient of that variable."""
    if reader.phase != "optimizer" or reader.layer == OPTIMIZER or node.type not in _GRADIENT_OPCODES:
        return reader
    readers = [split(graph.nodes[key], scopes) for key in graph.readers(node) if key in graph.nodes]
    only_updates = all(charges is None or charges[0].place.phase == "optimizer" for charges in readers)
    return Place(reader.layer, "backward") if only_updates else reader
