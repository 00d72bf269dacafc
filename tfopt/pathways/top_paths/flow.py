"""The strongest ways through a graph whose edges say how much flows along them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

__all__ = ["END", "Way", "strongest_flows"]

END = -2
"""Where ways end."""

Way = tuple[float, tuple[int, ...]]
"""A share of all that flows, and the nodes that it passes."""


def strongest_flows(edges: Iterable[tuple[int, int, float]], starts: Mapping[int, float], k: int) -> list[Way]:
    """The k ways of the largest flow, if what passes a node goes on in the same proportions wherever it came from.

    Args:
        edges: (from, to, flow), each node's after those that lead to it (numbered in that order), `END` for the end.
        starts: how much starts at a node.
        k: how many. Of equal ones, those come first that branched off later.
    """
    out: dict[int, dict[int, float]] = defaultdict(lambda: defaultdict(float))
    for source, target, flow in edges:
        out[source][target] += flow
    total = sum(starts.values())
    ways: dict[int, list[Way]] = defaultdict(list)
    for node, flow in starts.items():
        if flow > 0:
            ways[node].append((flow / total, (node,)))
    for node in sorted(out):
        ways[node] = _best(ways[node], k)
        outflow = sum(out[node].values())
        for target, flow in out[node].items():
            if flow > 0:
                ways[target] += [(share * flow / outflow, (*path, target)) for share, path in ways[node]]
    return [(share, path[:-1]) for share, path in _best(ways[END], k)]


def _best(ways: Iterable[Way], k: int) -> list[Way]:
    return sorted(ways, key=lambda way: (-way[0], way[1]))[:k]
