"""Among which weights scores are compared, so that a fraction of them goes.

A scope takes scores (in which weights that are zero come first), the fraction to remove and the weights.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tfopt.errors import UsageError
from tfopt.pruning.allocation.erk import erk_counts
from tfopt.pruning.allocation.lowest import from_table, lowest, order, table
from tfopt.pruning.prunable import Masks, Prunable, Scores

__all__ = ["SCOPES", "Scope", "allocate"]

Scope = Callable[[Scores, float, Sequence[Prunable]], Masks]


def allocate(scores: Scores, sparsity: float, scope: str, weights: Sequence[Prunable]) -> Masks:
    """The masks that remove this fraction of the weights: what is zero already first, then the lowest scores, of equal
    ones the first. Counts are exact: `round(sparsity · size)` in total for `global` and `erk`, of each weight for
    `layer`, of the weights of each output unit for `output`.

    Raises:
        UsageError: there is no such scope or fraction.
        RunFailed: a score is NaN.
    """
    if scope not in SCOPES:
        raise UsageError(f"there is no scope {scope}", f"choose one of {', '.join(SCOPES)}")
    if not 0 <= sparsity <= 1:
        raise UsageError(f"a sparsity of {sparsity:g} cannot be", "give the fraction to remove, from 0 to 1")
    return SCOPES[scope](order(scores, weights), sparsity, weights)


def _layer(scores: Scores, sparsity: float, weights: Sequence[Prunable]) -> Masks:
    """The same fraction of each weight."""
    return [_without(score, round(sparsity * score.size)) for score in scores]


def _global(scores: Scores, sparsity: float, weights: Sequence[Prunable]) -> Masks:
    """That fraction of all weights together: a layer with low scores loses more."""
    kept = _without(np.concatenate([score.ravel() for score in scores]), round(sparsity * sum(s.size for s in scores)))
    ends = np.cumsum([score.size for score in scores])[:-1]
    return [part.reshape(score.shape) for part, score in zip(np.split(kept, ends), scores, strict=True)]


def _erk(scores: Scores, sparsity: float, weights: Sequence[Prunable]) -> Masks:
    """More of large weights than of small ones, by `erk_densities`; scores decide within a weight."""
    counts = erk_counts(weights, round(sparsity * sum(score.size for score in scores)))
    return [_without(score, count) for score, count in zip(scores, counts, strict=True)]


def _output(scores: Scores, sparsity: float, weights: Sequence[Prunable]) -> Masks:
    """The same fraction of the weights of each output unit."""
    masks = []
    for score, weight in zip(scores, weights, strict=True):
        summed = [axis for axis in range(score.ndim) if axis not in weight.output_axes]
        columns = table(score, summed)
        masks.append(from_table(~lowest(columns, round(sparsity * len(columns))), score.shape, summed))
    return masks


SCOPES: dict[str, Scope] = {"layer": _layer, "global": _global, "erk": _erk, "output": _output}


def _without(score: np.ndarray, count: int) -> np.ndarray:
    return ~lowest(score.reshape(-1, 1), count).reshape(score.shape)
