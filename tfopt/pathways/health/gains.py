"""How a signal grows or shrinks from one weight layer to the next, forward and backward."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from statistics import median

from tfopt.records.health import Gain

__all__ = ["gain", "levels"]

Level = tuple[int, float]
"""Weight layers before it, and the size of what weight layers at this depth are given."""


def levels(points: Iterable[tuple[int, float | None]]) -> list[Level]:
    """The geometric mean of the sizes at each depth, by depth. What is not finite is left out, and so are zeros beside
    others: a branch that adds nothing yet (a last γ of 0) says nothing about the rest."""
    sizes: dict[int, list[float]] = {}
    for depth, size in points:
        if size is not None and math.isfinite(size):
            sizes.setdefault(depth, []).append(size)
    return [(depth, _geometric_mean([size for size in sizes[depth] if size > 0])) for depth in sorted(sizes)]


def gain(along: Sequence[Level], expected: Iterable[float | None] = ()) -> Gain | None:
    """The gain per weight layer along levels, which come in the direction of the signal. None for less than three
    levels, or where the signal was nothing from the start.

    The median is told beside the mean: a pooling between two layers changes the signal once and says nothing of the
    rest; where weights are too small or too large, most steps shrink or grow.
    """
    if len(along) < 3 or along[0][1] == 0:
        return None
    known = [each for each in expected if each]
    steps = abs(along[-1][0] - along[0][0])
    ratios = [
        (later / earlier) ** (1 / abs(to - since)) if earlier else 1.0
        for (since, earlier), (to, later) in pairwise(along)
    ]
    return Gain(
        mean=(along[-1][1] / along[0][1]) ** (1 / steps),
        median=median(ratios),
        steps=steps,
        expected=_geometric_mean(known) if known else None,
    )


def _geometric_mean(sizes: Sequence[float]) -> float:
    return math.exp(sum(map(math.log, sizes)) / len(sizes)) if sizes else 0.0
