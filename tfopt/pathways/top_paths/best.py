"""The k best ways to each unit of a layer: dynamic programming over the layers, on plain arrays.

A way's weight is a product, kept as its logarithm to base 10; what is −∞ is no way. Each `Best` is made from others,
and notes for each way where it came from, so that the steps can be read backwards. Of equal ways, those come first that
are through the earlier unit, and were better there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

__all__ = [
    "NONE",
    "Best",
    "Step",
    "best_of_all",
    "gathered",
    "merge",
    "mix",
    "passed",
    "pick",
    "stack",
    "start",
    "steps_to",
]

Step = tuple[str, int]
"""A layer's path, and which of its calls this is, from 1."""

NONE = -1
"""In place of a unit: there is none, and no way through it."""

NO_PATH = "no path from an input to an output has a weight other than zero"


def _nowhere() -> np.ndarray:
    return np.zeros((0, 0), int)


@dataclass(frozen=True, eq=False)
class Best:
    """The best ways to each of n units; arrays are (n, k).

    `values` fall along each row. The way at (unit, rank) extends that of `parts[part]` at (`unit`, `rank`). `step` is
    what the units belong to, None for what only stands between two steps.
    """

    values: np.ndarray
    parts: tuple[Best, ...] = ()
    part: np.ndarray = field(default_factory=_nowhere)
    unit: np.ndarray = field(default_factory=_nowhere)
    rank: np.ndarray = field(default_factory=_nowhere)
    step: Step | None = None

    @property
    def units(self) -> int:
        """How many."""
        return int(self.values.shape[0])

    @property
    def k(self) -> int:
        """How many ways are kept."""
        return int(self.values.shape[1])

    def at(self, step: Step) -> Best:
        """The same, as the units of a step."""
        return replace(self, step=step)


def start(values: np.ndarray, k: int) -> Best:
    """Where ways begin: one per unit."""
    ways = np.full((len(values), k), -np.inf)
    ways[:, 0] = values
    return Best(ways)


def pick(best: Best, units: np.ndarray, gains: np.ndarray | float = 0.0) -> Best:
    """Units that each take from one unit (or `NONE`), over edges with these logarithms."""
    units = np.asarray(units)
    values = best.values[units] + np.broadcast_to(gains, units.shape)[:, None]
    values[units == NONE] = -np.inf
    ranks = np.broadcast_to(np.arange(best.k), values.shape)
    return Best(values, (best,), np.zeros_like(ranks), np.broadcast_to(units[:, None], values.shape), ranks)


def passed(best: Best, gains: np.ndarray | float = 0.0) -> Best:
    """Each unit on its own."""
    return pick(best, np.arange(best.units), gains)


def mix(best: Best, blocks: Iterable[tuple[int, np.ndarray]]) -> Best:
    """Units that take from many: each block has edges (rows, new units) from the rows that begin at a number.

    Of the k best ways to a unit, none leads through an input that is not among the k best by its own best way: the
    cost is one pass over the edges, and k² per unit.
    """
    found = [_mixed(best, first, edges) for first, edges in blocks]
    values, units, ranks = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
    return Best(values, (best,), np.zeros_like(ranks), units, ranks)


def _mixed(best: Best, first: int, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    k, (rows, columns) = best.k, edges.shape
    ways = best.values[first : first + rows]
    kept = min(k, rows)
    edges = np.ascontiguousarray(edges.T)
    if kept < rows:
        inputs = np.argpartition(-(edges + ways[:, 0]), kept - 1, axis=1)[:, :kept]
        inputs.sort(axis=1)
    else:
        inputs = np.broadcast_to(np.arange(rows), (columns, rows))
    candidates = ways[inputs] + np.take_along_axis(edges, inputs, 1)[:, :, None]
    values, chosen = _largest(candidates.reshape(columns, -1), k)
    return values, first + np.take_along_axis(inputs, chosen // k, 1), chosen % k


def gathered(best: Best, count: int) -> Best:
    """So many units that each take from all, over edges of 1."""
    values, chosen = _largest(best.values.reshape(1, -1), best.k)
    values, units, ranks = (np.repeat(each, count, axis=0) for each in (values, chosen // best.k, chosen % best.k))
    return Best(values, (best,), np.zeros_like(ranks), units, ranks)


def merge(parts: Sequence[Best]) -> Best:
    """Units that each take from the same unit of all parts."""
    k = parts[0].k
    values, chosen = _largest(np.concatenate([part.values for part in parts], axis=1), k)
    units = np.broadcast_to(np.arange(len(values))[:, None], values.shape)
    return Best(values, tuple(parts), chosen // k, units, chosen % k)


def stack(parts: Sequence[Best]) -> Best:
    """The units of all parts, one after the other."""
    own = [passed(part) for part in parts]
    numbers = np.repeat(np.arange(len(parts)), [part.units for part in parts])
    units, ranks = (np.concatenate(arrays) for arrays in ([each.unit for each in own], [each.rank for each in own]))
    values = np.concatenate([each.values for each in own])
    return Best(values, tuple(parts), np.broadcast_to(numbers[:, None], values.shape), units, ranks)


def _largest(candidates: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k largest of each row (at least k wide), in order, and where they are; the first of equal ones."""
    order = np.argsort(-candidates, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(candidates, order, 1), order


def best_of_all(best: Best) -> Iterator[tuple[float, list[tuple[Step, int]]]]:
    """The k best ways to any of the units, with their steps and units."""
    for place in np.argsort(-best.values, axis=None, kind="stable")[: best.k]:
        unit, rank = divmod(int(place), best.k)
        value = float(best.values[unit, rank])
        if value > -np.inf:
            yield value, steps_to(best, unit, rank)


def steps_to(best: Best, unit: int, rank: int) -> list[tuple[Step, int]]:
    """The steps of one way, from where it begins."""
    steps = []
    while True:
        if best.step is not None:
            steps.append((best.step, unit))
        if not best.parts:
            return steps[::-1]
        here = unit, rank
        best, unit, rank = best.parts[best.part[here]], int(best.unit[here]), int(best.rank[here])
