"""From layer rows to the lines of a tree, under a depth and a number of rows, so that what is shown adds up.

A layer whose inside is hidden speaks for all of it; where only some of the layers inside one another are shown, a
last line holds the exact rest, and the layer's own work outside its children is a line like theirs. So the lines with
`whole` set never overlap, and their times and shares sum to those of the record.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from typing import Literal

from tfopt.records.profile import Bound, LayerRow, ProfileRecord
from tfopt.report.view import View, listed
from tfopt.trace.scopes import BRACKETED

__all__ = ["Line", "Times", "layer_lines", "record_lines"]

_NOISE = 1e-9  # below this, a difference of sums is rounding
_NEARLY_ALL = 0.9


@dataclass(frozen=True)
class Times:
    """What a line of the tree stands for: milliseconds by phase and in all, the share of the step, and the guessed.

    `mflop` is the work done in `counted_ms`, the part of the time whose work is known; `least_ms` is what the roofs
    allow for the work done in `roofed_ms`.
    """

    forward_ms: float = 0.0
    backward_ms: float = 0.0
    optimizer_ms: float = 0.0
    total_ms: float = 0.0
    share: float = 0.0
    inferred_ms: float = 0.0
    mflop: float = 0.0
    counted_ms: float = 0.0
    least_ms: float = 0.0
    roofed_ms: float = 0.0

    @property
    def gflops_per_s(self) -> float | None:
        """The rate of floating-point operations; None where much of the time went to what nobody has counted."""
        return self.mflop / self.counted_ms if self._is_all(self.counted_ms) else None

    @property
    def roof_share(self) -> float | None:
        """The least time that the machine's roofs allow, of what was taken; None where it is not known for most."""
        return self.least_ms / self.roofed_ms if self._is_all(self.roofed_ms) else None

    def _is_all(self, part_ms: float) -> bool:
        return part_ms > 0 and part_ms >= _NEARLY_ALL * self.total_ms

    def __add__(self, other: Times) -> Times:
        return Times(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def __sub__(self, other: Times) -> Times:
        rests = (getattr(self, f.name) - getattr(other, f.name) for f in fields(self))
        return Times(*(0.0 if abs(rest) < _NOISE else rest for rest in rests))


@dataclass(frozen=True)
class Line:
    """One line: `layer`, a layer's `own` work beside its children, the `rest` of a layer, or a `bracket` row.

    `guide` draws the branch, `hidden` counts the layers folded into the line, `times` includes them. `whole` is false
    only for a layer that is shown with lines below it. `bound` is that of a layer without others inside.
    """

    kind: Literal["layer", "own", "rest", "bracket"]
    guide: str
    label: str
    path: str
    type: str
    depth: int
    calls: int
    hidden: int
    times: Times
    whole: bool
    bound: Bound | None = None

    @property
    def what(self) -> str:
        """The layer's class, how often it is called where that is not once, how many layers it hides."""
        calls = f" ×{self.calls}" if self.calls > 1 else ""
        hidden = f" +{self.hidden} inside" if self.kind == "layer" and self.hidden else ""
        return f"{self.type}{calls}{hidden}"

    @property
    def inferred_share(self) -> float:
        """The part of the line's time that was placed by its neighbours; 0 where lines below say it.

        Less than a thousandth is not worth saying.
        """
        share = self.times.inferred_ms / self.times.total_ms if self.whole and self.times.total_ms else 0.0
        return share if share >= 0.001 else 0.0


@dataclass(eq=False)
class _Node:
    """A layer (or its own work, where `row` is None) with its children, while the tree is being built."""

    row: LayerRow | None
    path: str
    label: str
    depth: int
    order: int
    times: Times = field(default_factory=Times)
    children: list[_Node] = field(default_factory=list)
    layers: int = 1  # layers in this subtree, itself included

    @property
    def bracket(self) -> bool:
        return self.path in BRACKETED


def record_lines(record: ProfileRecord, view: View) -> list[Line]:
    """The lines that `view` shows of a record: bracketed rows only where they took time."""
    lines = layer_lines(record.layers, depth=view.depth, top=listed(view))
    return [line for line in lines if line.kind != "bracket" or line.times.total_ms]


def layer_lines(rows: Sequence[LayerRow], *, depth: int | None = None, top: int = 0) -> list[Line]:
    """The lines of the tree of `rows`: at most `top` below the roots (0: all), none below `depth`, largest first."""
    nodes, roots = _plant(rows)
    _fill(nodes)
    return list(_draw(roots, _largest(roots, depth, top)))


def _plant(rows: Sequence[LayerRow]) -> tuple[list[_Node], list[_Node]]:
    """Nodes in an order where parents come first, and the roots among them in the record's order."""
    by_path: dict[str, _Node] = {}
    nodes: list[_Node] = []
    roots: list[_Node] = []
    for order, row in sorted(enumerate(rows), key=lambda item: (item[1].path.count("/"), item[0])):
        parent = _parent(row.path, by_path)
        label = row.path if parent is None else row.path[len(parent.path) + 1 :]
        node = _Node(row, row.path, label, 0 if parent is None else parent.depth + 1, order)
        by_path.setdefault(row.path, node)
        nodes.append(node)
        (roots if parent is None else parent.children).append(node)
    return nodes, sorted(roots, key=lambda node: node.order)


def _parent(path: str, known: dict[str, _Node]) -> _Node | None:
    """The nearest enclosing layer that has a row: a missing level in between does not orphan its layers."""
    while "/" in path:
        path = path.rpartition("/")[0]
        if path in known:
            return known[path]
    return None


def _fill(nodes: Iterable[_Node]) -> None:
    """Give each node its times and, where it has children, a child for the work outside them."""
    for node in reversed(list(nodes)):
        row = node.row
        assert row is not None
        inside = sum((child.times for child in node.children), Times())
        node.times = Times(
            row.forward_ms,
            row.backward_ms,
            row.optimizer_ms,
            row.total_ms,
            row.total_share,
            row.inferred_ms + inside.inferred_ms,
            (row.gflops_per_s or 0.0) * row.self_ms + inside.mflop,
            inside.counted_ms + (0.0 if row.gflops_per_s is None else row.self_ms),
            (row.roof_share or 0.0) * row.self_ms + inside.least_ms,
            inside.roofed_ms + (0.0 if row.roof_share is None else row.self_ms),
        )
        node.layers += sum(child.layers for child in node.children)
        own = node.times - inside
        if node.children and own.total_ms:
            node.children.append(_Node(None, node.path, "own ops", node.depth + 1, node.order, own, layers=0))
        node.children.sort(key=lambda child: (-child.times.total_ms, child.order))


def _largest(roots: Sequence[_Node], depth: int | None, top: int) -> set[_Node]:
    """The nodes to show below the roots: always the largest whose parent is shown already."""
    chosen: set[_Node] = set()
    heap: list[tuple[float, int, int, _Node]] = []

    def offer(children: Iterable[_Node]) -> None:
        for child in children:
            if depth is None or child.depth <= depth:
                # The last figure but one keeps a layer and its own work, which share an order, apart.
                heapq.heappush(heap, (-child.times.total_ms, child.order, child.depth, child))

    for root in roots:
        offer(root.children)
    while heap and (top == 0 or len(chosen) < top):
        node = heapq.heappop(heap)[-1]
        chosen.add(node)
        offer(node.children)
    return chosen


def _draw(roots: Sequence[_Node], chosen: set[_Node]) -> Iterator[Line]:
    """The lines, depth first; on a stack, because a file decides how deep a tree is."""
    stack: list[tuple[_Node | Line, str, str]] = [(root, "", "") for root in reversed(roots)]
    while stack:
        item, prefix, guide = stack.pop()
        if isinstance(item, Line):
            yield item
            continue
        shown = [child for child in item.children if child in chosen]
        hidden = [child for child in item.children if child not in chosen]
        if shown and len(hidden) == 1:  # a line that says "1 more" would be no shorter than the one it hides
            shown, hidden = item.children, []
        yield _line(item, prefix + guide, whole=not shown)
        if not shown:
            continue
        below = prefix + {"": "", "├─ ": "│  ", "└─ ": "   "}[guide]
        branches: list[_Node | Line] = [*shown]
        if hidden:
            branches.append(_rest(item, hidden, shown, below + "└─ "))
        guides = ["├─ "] * (len(branches) - 1) + ["└─ "]
        stack.extend((branch, below, mark) for branch, mark in zip(reversed(branches), reversed(guides), strict=True))


def _line(node: _Node, guide: str, *, whole: bool) -> Line:
    if node.row is None:
        return Line("own", guide, node.label, node.path, "", node.depth, 0, 0, node.times, True)
    kind: Literal["layer", "bracket"] = "bracket" if node.bracket else "layer"
    hidden = node.layers - 1 if whole else 0
    row = node.row
    bound = None if node.children else row.bound
    return Line(kind, guide, node.label, row.path, row.type, node.depth, row.calls, hidden, node.times, whole, bound)


def _rest(node: _Node, hidden: Sequence[_Node], shown: Sequence[_Node], guide: str) -> Line:
    layers = sum(child.layers for child in hidden)
    rest = node.times - sum((child.times for child in shown), Times())
    return Line("rest", guide, f"{layers:,} more", node.path, "", node.depth + 1, 0, layers, rest, True)
