"""Arithmetic with intervals of time."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt

from tfopt.trace.xspace import Ints

__all__ = ["Floats", "Mask", "coverage", "exclusive"]

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


def coverage(edges: Ints, start: Ints, end: Ints) -> Ints:
    """How many of the intervals cover each gap between neighbouring `edges` (sorted; every start and end is one)."""
    change = np.zeros(len(edges), dtype=np.int64)
    np.add.at(change, np.searchsorted(edges, start), 1)
    np.add.at(change, np.searchsorted(edges, end), -1)
    return np.cumsum(change)[:-1]


def exclusive(start: Ints, end: Ints, thread: Ints) -> tuple[Ints, Ints, Ints]:
    """Cut nested events so that at each instant only the innermost event of a thread remains.

    Returns (start, end, event) of the pieces; `event` indexes the input. Events of one thread are nested or disjoint.
    """
    order = np.lexsort((-end, start, thread))
    start, end, thread = start[order], end[order], thread[order]
    if len(start) == 0:
        return start, end, order
    overlaps = (thread[1:] == thread[:-1]) & (start[1:] < end[:-1])
    if not overlaps.any():
        return start, end, order
    nested = _nested_runs(start, end, thread)
    flat = ~nested
    pieces = _cut(start[nested], end[nested], thread[nested], np.flatnonzero(nested))
    table = np.array(pieces, dtype=np.int64).reshape(-1, 3)
    return (
        np.concatenate([start[flat], table[:, 0]]),
        np.concatenate([end[flat], table[:, 1]]),
        order[np.concatenate([np.flatnonzero(flat), table[:, 2]])],
    )


def _nested_runs(start: Ints, end: Ints, thread: Ints) -> Mask:
    """Which events overlap another of their thread (given in order): only these need the slow path."""
    nested = np.zeros(len(start), dtype=bool)
    bounds = [0, *(np.flatnonzero(np.diff(thread)) + 1).tolist(), len(start)]
    for first, last in itertools.pairwise(bounds):
        reach = np.maximum.accumulate(end[first:last])
        covered = np.concatenate([[False], start[first + 1 : last] < reach[:-1]])
        nested[first:last] = covered | np.concatenate([covered[1:], [False]])
    return nested


def _cut(start: Ints, end: Ints, thread: Ints, index: Ints) -> list[tuple[int, int, int]]:
    pieces: list[tuple[int, int, int]] = []
    stack: list[tuple[int, int]] = []  # (end, event), innermost last
    current, cursor = None, 0

    def close(until: float) -> None:
        nonlocal cursor
        while stack and stack[-1][0] <= until:
            finish, event = stack.pop()
            if finish > cursor:
                pieces.append((cursor, finish, event))
                cursor = finish

    for begin, finish, owner, event in zip(start.tolist(), end.tolist(), thread.tolist(), index.tolist(), strict=True):
        if owner != current:
            close(float("inf"))
            current = owner
        close(begin)
        if stack and begin > cursor:
            pieces.append((cursor, begin, stack[-1][1]))
        cursor = begin
        stack.append((finish, event))
    close(float("inf"))
    return pieces
