"""A graph of ops, as far as attribution needs it: names, types and edges.

Both the unoptimized TensorFlow graph (recorded while the step is traced) and an XLA program are read into it, so that
one rule places unnamed ops and ops that an optimizer merged.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

__all__ = ["Graph", "Member", "Node"]

_CALL = re.compile(r"^(_\d+|(Stateful)?PartitionedCall(_\d+)?)$")


@dataclass(frozen=True)
class Member:
    """An op inside a merged op: its full name, type, and its estimated work (arbitrary unit, within one node)."""

    op_name: str
    type: str
    work: float


@dataclass(frozen=True)
class Node:
    """One op: `id` is unique in its graph, `op_name` its scoped name ('' if it has none), `inputs` ids of nodes.

    `members` are the ops merged into it (XLA fusions); `callers` the ids of the nodes whose body it runs in.
    """

    id: str
    type: str
    op_name: str
    inputs: tuple[str, ...] = ()
    members: tuple[Member, ...] = ()
    callers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Graph:
    """Nodes by id."""

    nodes: Mapping[str, Node]

    @classmethod
    def of(cls, nodes: Iterable[Node]) -> Graph:
        """A graph of `nodes`; of several with one id the first counts."""
        table: dict[str, Node] = {}
        for node in nodes:
            table.setdefault(node.id, node)
        return cls(table)

    def readers(self, node: Node) -> tuple[str, ...]:
        """The ids of the nodes that read `node`."""
        return self._readers.get(node.id, ())

    @cached_property
    def _readers(self) -> Mapping[str, tuple[str, ...]]:
        readers: dict[str, list[str]] = defaultdict(list)
        for node in self.nodes.values():
            for source in node.inputs:
                readers[source].append(node.id)
        return {key: tuple(ids) for key, ids in readers.items()}

    @cached_property
    def _by_name(self) -> Mapping[str, Node]:
        names: dict[str, Node] = {}
        for node in self.nodes.values():
            names.setdefault(node.op_name, node)
        return names

    def resolve(self, name: str) -> Node | None:
        """The node that ran as `name`: inlining a function puts the calls before the name that a node has in it, as in
        `while/body/_12/dense/MatMul` and `StatefulPartitionedCall/dense/MatMul`."""
        parts = name.split("/")
        for start in range(len(parts)):
            if start == 0 or _CALL.match(parts[start - 1]):
                node = self._by_name.get("/".join(parts[start:]))
                if node is not None:
                    return node
        return None
