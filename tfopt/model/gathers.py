"""Finds in a TensorFlow graph how large the integers of an input may be: the rows of the tables that they look up.

An abstract run of the graph: every input and every variable is a tag, ops that only move values around pass tags on,
and a gather whose table comes from a variable and whose indices come from an input bounds that input.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["CALLED_FUNCTIONS", "concrete_bounds", "lookup_bounds"]

# The attributes by which ops name the functions of the graph's library that they call.
CALLED_FUNCTIONS = ("f", "then_branch", "else_branch", "cond", "body")

Tags = frozenset[str]
_NONE: Tags = frozenset()

# Ops whose output holds values of these inputs and no others (None: of all inputs).
_PASSES: dict[str, tuple[int, ...] | None] = {
    **dict.fromkeys(("Identity", "IdentityN", "Cast", "StopGradient", "Pack", "AddN", "Snapshot"), None),
    **dict.fromkeys(("Reshape", "Squeeze", "ExpandDims", "Transpose", "StridedSlice", "Slice", "Tile"), (0,)),
    **dict.fromkeys(
        ("Unpack", "SplitV", "ReverseV2", "BroadcastTo", "EnsureShape", "GatherNd", "PlaceholderWithDefault"), (0,)
    ),
    **dict.fromkeys(("ReadVariableOp", "ConcatV2", "Bitcast", "TensorListFromTensor"), None),
    **dict.fromkeys(("GatherV2", "Gather"), (0,)),
    "Split": (1,),
    "SelectV2": (1, 2),
    "Select": (1, 2),
}
# Ops that look rows up in their first input by the indices in their second.
_LOOKUPS = frozenset({"GatherV2", "Gather", "ResourceGather"})
_DEEPEST_CALL = 50


@dataclass
class _Run:
    """One abstract run: the rows of each variable, and the bounds found so far, by tag."""

    library: Mapping[str, Any]
    rows: Mapping[str, int]
    bounds: dict[str, int] = field(default_factory=dict)

    def body(self, nodes: Iterable[Any], arguments: Mapping[str, Tags], depth: int) -> Callable[[str], Tags]:
        """Runs a graph or function body; returns what tells the tags of a tensor in it."""
        by_name = {node.name: node for node in nodes}
        known: dict[str, Tags] = dict(arguments)

        def tags(tensor: str) -> Tags:
            return known.get(tensor.partition(":")[0], _NONE)

        for name in _in_order(by_name, known):
            node = by_name[name]
            inputs = [tags(tensor) for tensor in node.input if not tensor.startswith("^")]
            known[name] = self._node(node, inputs, depth)
        return tags

    def _node(self, node: Any, inputs: list[Tags], depth: int) -> Tags:
        called = [node.attr[key].func.name for key in CALLED_FUNCTIONS if key in node.attr]
        bodies = [self.library[name] for name in called if name in self.library]
        if bodies and depth < _DEEPEST_CALL:
            return _NONE.union(*(self._call(body, inputs, depth) for body in bodies))
        if node.op in _LOOKUPS and len(inputs) > 1:
            self._bound(*inputs[:2])
        passed = _PASSES.get(node.op, ())
        taken = inputs if passed is None else [inputs[position] for position in passed if position < len(inputs)]
        return _NONE.union(*taken)

    def _call(self, function: Any, inputs: list[Tags], depth: int) -> Tags:
        names = [argument.name for argument in function.signature.input_arg]
        # Branches take all inputs but the first, which chooses between them.
        offset = len(inputs) - len(names) if len(inputs) > len(names) else 0
        tags = self.body(function.node_def, dict(zip(names, inputs[offset:], strict=False)), depth + 1)
        return _NONE.union(*(tags(tensor) for tensor in function.ret.values()))

    def _bound(self, table: Tags, indices: Tags) -> None:
        sizes = [self.rows[tag] for tag in table if tag in self.rows]
        for tag in indices - self.rows.keys():
            if sizes:
                self.bounds[tag] = min(self.bounds.get(tag, sizes[0]), *sizes)


def _in_order(by_name: Mapping[str, Any], given: Mapping[str, Tags]) -> list[str]:
    """The nodes, each after those it reads (function bodies are not sorted); cycles (old loops) are cut."""
    ordered: dict[str, None] = {}
    entered: set[str] = set(given)
    for start in by_name:
        stack = [start]
        while stack:
            name = stack[-1]
            if name in ordered or name not in by_name or name in given:
                stack.pop()
                continue
            reads = [tensor.partition(":")[0] for tensor in by_name[name].input if not tensor.startswith("^")]
            missing = [read for read in reads if read in by_name and read not in entered]
            entered.add(name)
            if missing:
                stack.extend(missing)
            else:
                ordered[name] = None
                stack.pop()
    return list(ordered)


def lookup_bounds(graph: Any, inputs: Iterable[str], rows: Mapping[str, int]) -> dict[str, int]:
    """For each input placeholder that is looked up in a table, the fewest rows of any such table.

    Args:
        graph: a `GraphDef` with its function library.
        inputs: names of the input placeholders.
        rows: by name of its placeholder, the first dimension of each captured variable.
    """
    run = _Run({function.signature.name: function for function in graph.library.function}, rows)
    run.body(graph.node, {name: frozenset({name}) for name in (*inputs, *rows)}, 0)
    return run.bounds


def concrete_bounds(concrete: Any) -> dict[str, int]:
    """`lookup_bounds` of a TensorFlow `ConcreteFunction`: by the name of an input's placeholder."""
    captured = concrete.captured_inputs
    placeholders = [tensor.op.name for tensor in concrete.inputs]
    own = len(placeholders) - len(captured)
    shapes = {id(variable.handle): variable.shape for variable in concrete.variables}
    rows = {
        name: int(shapes[id(tensor)][0])
        for name, tensor in zip(placeholders[own:], captured, strict=True)
        if id(tensor) in shapes and shapes[id(tensor)].rank
    }
    return lookup_bounds(concrete.graph.as_graph_def(), placeholders[:own], rows)
