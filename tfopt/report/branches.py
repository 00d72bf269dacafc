"""Where ways meet: the edges into a merge as branches that a person recognizes, and how unevenly they carry."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce

from tfopt.records.influence import EdgeShare, LayerRule

__all__ = ["Branch", "Merge", "merges"]

_INPUT = "(input)"
_Node = tuple[str, int]
_ROOT: _Node = (_INPUT, 0)


@dataclass(frozen=True)
class Branch:
    """One way into a merge: `skip` where nothing lies between it and the split, else its first and last layer.

    `share` is of what meets there, `total` of all.
    """

    first: str
    last: str
    skip: bool
    share: float
    edge: EdgeShare

    def label(self, root: str = "") -> str:
        """`skip from add_1`, `conv_1 … bn_3`; without `root` at the start of paths."""
        first, last = (path.removeprefix(root) for path in (self.first, self.last))
        if len(self.edge.sources) > 1:
            return " or ".join(path.removeprefix(root) for path in self.edge.sources)
        return f"skip from {last}" if self.skip else last if first == last else f"{first} … {last}"


@dataclass(frozen=True)
class Merge:
    """A layer in which ways meet that left one another at `split`."""

    path: str
    call: int
    branches: tuple[Branch, ...]

    @property
    def evenness(self) -> float:
        """As many equal branches would be as even, of those there are: from near 0 to 1."""
        positive = [branch.share for branch in self.branches if branch.share > 0]
        return math.exp(-sum(share * math.log(share) for share in positive)) / len(self.branches)

    @property
    def strongest(self) -> Branch:
        """The branch that carries most."""
        return max(self.branches, key=lambda branch: branch.share)


def merges(edges: Sequence[EdgeShare], rules: Iterable[LayerRule] = ()) -> list[Merge]:
    """Every merge of several ways, the most uneven first.

    Not the factors of a product, of which a rule lets only one carry anything: that says nothing about the weights.
    """
    by_rule = {rule.path for rule in rules if rule.status == "approximated"}
    found = [
        Merge(path, call, branches)
        for (path, call), branches in _branches(edges)
        if len({branch.edge.sources for branch in branches}) > 1
        and not (path in by_rule and any(branch.share == 0 for branch in branches))
    ]
    return sorted(found, key=lambda merge: merge.evenness)


def _branches(edges: Sequence[EdgeShare]) -> Iterator[tuple[_Node, tuple[Branch, ...]]]:
    into: dict[_Node, list[EdgeShare]] = {}
    for edge in edges:
        into.setdefault((edge.target, edge.call), []).append(edge)
    above: dict[_Node, _Node] = {}  # the last node that every way to a node leads through
    latest: dict[str, _Node] = {}  # records name the sources of an edge without their calls
    for node, ways in into.items():
        sources = [[latest.get(path, _ROOT if path == _INPUT else (path, 0)) for path in way.sources] for way in ways]
        flat = [source for several in sources for source in several] or [_ROOT]
        split = reduce(lambda one, other: _common(above, one, other), flat)
        whole = sum(way.share for way in ways)
        if len(ways) > 1 and whole > 0:
            yield (
                node,
                tuple(
                    _branch(above, split, several[0] if several else _ROOT, way, way.share / whole)
                    for several, way in zip(sources, ways, strict=True)
                ),
            )
        above[node] = split
        latest[node[0]] = node


def _branch(above: dict[_Node, _Node], split: _Node, source: _Node, edge: EdgeShare, share: float) -> Branch:
    """The first layer after the split is the one below it on the chain of nodes that all ways lead through."""
    first = source
    for node in _chain(above, source):
        if node == split:
            break
        first = node
    return Branch(first[0], source[0], source == split, share, edge)


def _chain(above: dict[_Node, _Node], node: _Node) -> Iterator[_Node]:
    while node != _ROOT:
        yield node
        node = above.get(node, _ROOT)
    yield _ROOT


def _common(above: dict[_Node, _Node], one: _Node, other: _Node) -> _Node:
    passed = set(_chain(above, one))
    return next(node for node in _chain(above, other) if node in passed)
