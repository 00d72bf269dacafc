"""Charge every op that ran to the layers it worked for.

Names come first: an op whose name holds a registered scope belongs there. Where names are missing or would lie, the
graph decides:
- a fused kernel (`_FusedConv2D`, `_MklNativeFusedMatMul`, …) carries the name of its *last* op, so it is walked back
  through the unoptimized graph to the convolution or matrix product that does the work;
- an XLA fusion is split among its members by their estimated work;
- an unnamed op goes to the nearest named op that reads it, else that it reads, else that calls it. What only the
  optimizer reads is the gradient of its variable: the layer's backward;
- a sum of gradients goes to the layer that they all come from, else to its reader.
`own` means one layer: all members with a name say so, or all readers of the result of an op that has none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass

from tfopt.records.profile import Source
from tfopt.trace.fused import swallowed
from tfopt.trace.graph import Graph, Node
from tfopt.trace.inference import Found, gradient, nearest, split
from tfopt.trace.places import Charge
from tfopt.trace.recording import MARKER, Op
from tfopt.trace.scopes import BACKWARD, INPUT, LOSS, OPTIMIZER, Place, ScopeTable

__all__ = ["Attribution", "attribute"]


@dataclass(frozen=True)
class Attribution:
    """Where one op's time goes. `type` and `name` are what to show; `members` the layers it worked for, if several.

    `charges` are empty where the executor passed over a node that belongs to nobody, such as the end of the step.
    """

    type: str
    name: str
    charges: tuple[Charge, ...]
    source: Source
    members: tuple[str, ...] = ()


# What the executor passes over without running a kernel and that is in no graph before its own rewriting.
_UNSEEN = "Executor"
_NOWHERE = Place(None, "unattributed")


def attribute(
    ops: tuple[Op, ...],
    scopes: ScopeTable,
    graph: Graph,
    programs: Mapping[int, Graph],
    markers: Callable[[str], str | None] = lambda marker: None,
) -> tuple[Attribution, ...]:
    """One attribution per op. `graph` is the unoptimized TensorFlow graph, `programs` the XLA programs by id, and
    `markers` maps the value of a layer marker (eager mode) to the layer's path."""
    nodes = {op: node for op in ops if op.kind == "tf" and (node := graph.resolve(op.name)) is not None}
    ran = {node.id for node in nodes.values()}
    resolve = {
        "tf": lambda op: _tf(op, nodes.get(op), ran, scopes, graph),
        "hlo": lambda op: _hlo(op, scopes, programs),
        "eager": lambda op: _eager(op, markers),
        "marker": lambda op: Attribution("Input", "waiting for data", (Charge(Place(INPUT, "input"), 1.0),), "own"),
    }
    return tuple(resolve[op.kind](op) for op in ops)


def _tf(op: Op, node: Node | None, ran: Set[str], scopes: ScopeTable, graph: Graph) -> Attribution:
    named = scopes.place(op.name)
    chain = swallowed(op.type, node, graph, ran) if node is not None else []
    places = [place for link in chain if (place := scopes.place(link.op_name)) is not None and place.layer]
    if places:
        return _merged(op.type, op.name, places)
    type_ = op.type or (node.type if node is not None else _UNSEEN)
    if named is not None and named.layer is not None:
        return Attribution(type_, op.name, (Charge(named, 1.0),), "own")
    found = _inferred(type_, op.name, named, node, graph, scopes)
    return found if op.type or found.source != "none" else Attribution(type_, op.name, (), "none")


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
    charges = split(node, scopes)
    if charges is not None:
        return Attribution(node.type, shown, charges, Found.of(charges).source, _several(charges))
    return _inferred(node.type, shown, scopes.place(node.op_name), node, graph, scopes)


def _inferred(
    type_: str, name: str, known: Place | None, node: Node | None, graph: Graph, scopes: ScopeTable
) -> Attribution:
    if node is None:
        return Attribution(type_, name, (Charge(known or _NOWHERE, 1.0),), "none")
    find = gradient if known is not None and known.phase == "backward" else nearest
    found = find(node, graph, scopes)
    if found is None:
        return Attribution(type_, name, (Charge(known or _NOWHERE, 1.0),), "none")
    return Attribution(type_, name, found.charges, found.source, _several(found.charges))


def _several(charges: tuple[Charge, ...]) -> tuple[str, ...]:
    """The layers among `charges`, where they are more than one."""
    layers = tuple(dict.fromkeys(charge.place.layer for charge in charges if charge.place.layer))
    return layers if len(layers) > 1 else ()


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
        return Attribution(op.type, op.type, (Charge(place, 1.0),), "inferred" if phase == "backward" else "own")
    if layer is None:
        return Attribution(op.type, op.type, (Charge(_NOWHERE, 1.0),), "none")
    return Attribution(op.type, op.type, (Charge(Place(layer, "forward"), 1.0),), "own")


_EAGER_PLACES = {
    "backward": Place(BACKWARD, "backward"),
    "loss": Place(LOSS, "loss"),
    "optimizer": Place(OPTIMIZER, "optimizer"),
}
