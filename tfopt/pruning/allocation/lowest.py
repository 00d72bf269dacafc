"""What goes first: the lowest scores of each column of a table, exactly as many as asked for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tfopt.errors import RunFailed
from tfopt.pruning.prunable import Prunable, Scores

__all__ = ["from_table", "lowest", "order", "table"]


def order(scores: Scores, weights: Sequence[Prunable]) -> Scores:
    """The scores, with those of weights that are zero already below all others. RunFailed where one is NaN."""
    for score, weight in zip(scores, weights, strict=True):
        if np.isnan(score).any():
            raise RunFailed(f"scores of {weight.path} are NaN", "choose another criterion, such as magnitude")
    return [np.where(each.values == 0, -np.inf, score) for score, each in zip(scores, weights, strict=True)]


def lowest(columns: np.ndarray, count: int) -> np.ndarray:
    """True at the `count` lowest of each column of (rows, columns); of equal ones, the first."""
    if count <= 0:
        return np.zeros(columns.shape, bool)
    if columns.shape[1] == 1:
        return _lowest_of_one(columns[:, 0], count)[:, None]
    bound = np.partition(columns, count - 1, axis=0)[count - 1]
    below, level = columns < bound, columns == bound
    wanted = count - below.sum(axis=0)
    if (level.sum(axis=0) > wanted).any():  # counting ties takes more memory than all the rest
        level &= np.cumsum(level, axis=0, dtype=np.int32) <= wanted
    found: np.ndarray = below | level
    return found


def _lowest_of_one(column: np.ndarray, count: int) -> np.ndarray:
    """What is at the least goes first anyway, and is set aside: among millions that are equal (removed in the rounds
    before) numpy selects ten times slower."""
    bound = column.min()
    rest = column[column > bound]
    more = count - (column.size - rest.size)
    if more > 0:
        rest.partition(more - 1)
        bound = rest[more - 1]
    found: np.ndarray = column <= bound
    if over := int(np.count_nonzero(found)) - count:
        found[np.flatnonzero(column == bound)[-over:]] = False
    return found


def table(array: np.ndarray, rows: Sequence[int]) -> np.ndarray:
    """An array as (rows, columns): the axes `rows`, flattened, by all others, flattened."""
    lengths = [array.shape[axis] for axis in rows]
    return np.moveaxis(array, rows, range(len(rows))).reshape(int(np.prod(lengths)), -1)


def from_table(columns: np.ndarray, shape: Sequence[int], rows: Sequence[int]) -> np.ndarray:
    """The array of this shape that `table` made a table of."""
    moved = [*(shape[axis] for axis in rows), *(size for axis, size in enumerate(shape) if axis not in rows)]
    return np.moveaxis(columns.reshape(moved), range(len(rows)), rows)
