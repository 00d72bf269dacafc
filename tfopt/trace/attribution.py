"""Charge every op that ran to the layers it worked for.

Names come first: an op whose name holds a registered scope belongs there (`own`). Where names are missing or would
lie, the graph decides, and the charge is `inferred`:
- a fused kernel (`_FusedConv2D`, `_MklNativeFusedMatMul`, …) carries the name of its *last* op, so it is walked back
  through the unoptimized graph to the convolution or matrix product that does the work;
- an XLA fusion is split among its members by their estimated work;
- an unnamed op goes to the nearest named op that reads it, else that it reads, else that calls it. What only the
  optimizer reads is the gradient of its variable: the layer's backward;
- a sum of gradients goes to the layer that they all come from, else to its reader.
`own` means that all members belong to one layer and phase.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tfopt.records.profile import Source
from tfopt.trace.graph import Graph, Node
from tfopt.trace.recording import MARKER, Op
from tfopt.trace.scopes import BACKWARD, INPUT, LOSS, OPTIMIZER, Place, ScopeTable

__all__ = ["Attribution", "Charge", "attribute"]


@dataclass(frozen=True)
class Charge:
    """A part of an op's time: the fractions of one op's charges add up to 1."""

    place: Place
    fraction: float


@dataclass(frozen=True)
class Attribution:
    """Where one op's time goes. `type` and `name` are what to show; `members` the layers it worked for, if several."""

    type: str
    name: str
    charges: tuple[Charge, ...]
    source: Source
    members: tuple[str, ...] = ()


_NOWHERE = Place(None, "unattributed")
# Inlining a function prefixes its ops with the caller's name and a number: `while/body/_12/…`.
_INLINED = re.compile(r"^.*/_\d+/")
_FUSED = re.compile(r"^_(Mkl)?(Native)?Fused|^_FusedBatchNormEx$")
_HEAVY = re.compile(r"Conv[23]D|MatMul|Einsum|BatchNorm")
# What a fused kernel may have swallowed between the heavy op and its own name.
_FUSABLE = frozenset(
    [
        "Add",
        "AddV2",
        "BiasAdd",
        "Elu",
        "Exp",
        "FusedBatchNormV3",
        "Gelu",
        "Identity",
        "LeakyRelu",
        "Maximum",
        "Mul",
        "Relu",
        "Relu6",
        "Reshape",
        "Sigmoid",
        "Squeeze",
        "Sub",
        "Tanh",
    ]
)
_REACH = 6
_GRADIENT_OPCODES = frozenset({"convolution", "dot", "fusion", "copy", "call", "transpose", "reduce", "custom-call"})


def attribute(
    ops: tuple[Op, ...],
    scopes: ScopeTable,
    graph: Graph,
    programs: Mapping[int, Graph],
    markers: Callable[[str], str | None] = lambda marker: None,
) -> tuple[Attribution, ...]:
    """One attribution per op. `graph` is the unoptimized TensorFlow graph, `programs` the XLA programs by id, and
    `markers` maps the value of a layer marker (eager mode) to the layer's path."""
    resolve = {
        "tf": lambda op: _tf(op, scopes, graph),
        "hlo": lambda op: _hlo(op, scopes, programs),
        "eager": lambda op: _eager(op, markers),
        "marker": lambda op: Attribution("Input", "waiting for data", (Charge(Place(INPUT, "input"), 1.0),), "own"),
    }
    return tuple(resolve[op.kind](op) for op in ops)


def _tf(op: Op, scopes: ScopeTable, graph: Graph) -> Attribution:
    named = scopes.place(op.name)
    node = graph.nodes.get(_INLINED.sub("", op.name))
    if node is not None and _FUSED.match(op.type) and not _HEAVY.search(node.type):
        chain = _swallowed(node, graph)
        places = [place for link in chain if (place := scopes.place(link.op_name)) is not None and place.layer]
        if places:
            return _merged(op.type, op.name, places)
    if named is not None and named.layer is not None:
        return Attribution(op.type, op.name, (Charge(named, 1.0),), "own")
    return _inferred(op.type, op.name, named, node, graph, scopes)


def _swallowed(node: Node, graph: Graph) -> list[Node]:
    """The ops behind a fused kernel's name, the heavy one first."""
    frontier, seen = [[node]], {node.id}
    while frontier:
        path = frontier.pop(0)
        if _HEAVY.search(path[-1].type) and len(path) > 1:
            return path[::-1]
        if path[-1].type not in _FUSABLE or len(path) > _REACH:
            continue
        for source in path[-1].inputs:
            if source in graph.nodes and source not in seen:
                seen.add(source)
                frontier.append([*path, graph.nodes[source]])
    return []


def _merged(type_: str, name: str, places: list[Place]) -> Attribution:
    """A fused kernel: its time goes to the heavy op (first), the others are listed."""
    layers = tuple(dict.fromkeys(place.layer for place in places if place.layer))
    source: Source = "own" if len(layers) == 1 else "inferred"
    return Attribution(type_, name, (Charge(places[0], 1.0),), source, layers if len(layers) > 1 else ())


def _hlo(op: Op, scopes: ScopeTable, programs: Mapping[int, Graph]) -> Attribution:
    graph = programs.get(op.program or 0)
    node = graph.nodes.get(op.name) if graph else None
    if graph is None or node is None:
        return Attribution("", op.name, (Charge(_NOWHERE, 1.0),), "none")
    shown = node.op_name or op.name
    split = _split(node, scopes)
    if split is not None:
        layers = tuple(dict.fromkeys(charge.place.layer for charge in split if charge.place.layer))
        return Attribution(
            node.type,
            shown,
            split,
            "own" if len(split) == 1 else "inferred",
            layers if len(layers) > 1 else (),
        )
    return _inferred(node.type, shown, scopes.place(node.op_name), node, graph, scopes)


def _split(node: Node, scopes: ScopeTable) -> tuple[Charge, ...] | None:
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


def _inferred(
    type_: str, name: str, known: Place | None, node: Node | None, graph: Graph, scopes: ScopeTable
) -> Attribution:
    if node is None:
        return Attribution(type_, name, (Charge(known or _NOWHERE, 1.0),), "none")
    if known is not None and known.phase == "backward":
        place = _gradient(node, graph, scopes)
    else:
        place = _nearest(node, graph, scopes)
    if place is None:
        return Attribution(type_, name, (Charge(known or _NOWHERE, 1.0),), "none")
    return Attribution(type_, name, (Charge(place, 1.0),), "inferred")


def _nearest(node: Node, graph: Graph, scopes: ScopeTable, depth: int = 0) -> Place | None:
    """The place of the nearest placed node: readers first, then what it reads, then its caller."""
    reader = _found(node, graph, scopes, lambda at: graph.users.get(at.id, ()))
    if reader is not None:
        return _as_gradient(node, reader)
    source = _found(node, graph, scopes, lambda at: at.inputs)
    if source is not None:
        return source
    for caller in node.callers:
        parent = graph.nodes.get(caller)
        if parent is not None and depth < _REACH:
            split = _split(parent, scopes)
            return split[0].place if split is not None else _nearest(parent, graph, scopes, depth + 1)
    return None


def _gradient(node: Node, graph: Graph, scopes: ScopeTable) -> Place | None:
    """The place of an op of the backward pass that names no layer: most are sums of a tensor's gradients.

    Where all gradients come from one layer, that layer used the tensor several times (BatchNormalization its input for
    mean, variance and result) and the sum is its doing. Else it goes to the layer that reads it; and where only an
    update reads it, to the first that it comes from.
    """
    splits = [_split(graph.nodes[key], scopes) for key in node.inputs if key in graph.nodes]
    sources = {split[0].place.layer for split in splits if split is not None}
    if len(sources) == 1:
        return Place(sources.pop(), "backward")
    place = _nearest(node, graph, scopes)
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
            split = _split(found, scopes)
            if split is not None:
                return split[0].place
    return None


def _as_gradient(node: Node, reader: Place) -> Place:
    """A heavy unnamed op that only a variable's update reads is the gradient of that variable."""
    if reader.phase == "optimizer" and node.type in _GRADIENT_OPCODES and reader.layer != OPTIMIZER:
        return Place(reader.layer, "backward")
    return reader


def _eager(op: Op, layer_of: Callable[[str], str | None]) -> Attribution:
    layer, phase = None, "forward"
    for marker in op.markers:
        kind, _, value = marker.removeprefix(MARKER).partition(":")
        if kind == "phase":
            phase = value
        elif kind == "layer":
            layer = layer_of(value) or layer
    if phase in _EAGER_PLACES:
        place = _EAGER_PLACES[phase]
        return Attribution(op.type, op.type, (Charge(place, 1.0),), "own")
    if layer is None:
        return Attribution(op.type, op.type, (Charge(_NOWHERE, 1.0),), "none")
    return Attribution(op.type, op.type, (Charge(Place(layer, "forward"), 1.0),), "own")


_EAGER_PLACES = {
    "backward": Place(BACKWARD, "backward"),
    "loss": Place(LOSS, "loss"),
    "optimizer": Place(OPTIMIZER, "optimizer"),
}
