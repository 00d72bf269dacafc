"""Who had the step's wall time: each instant of a step is split equally among the ops active in it.

While the step waits for data nothing of it can run, so that such an instant is the wait's alone, whatever else the
machine does meanwhile.

Shares found this way add up: the ops' and the idle time together are the step, however many threads ran. `busy` is
an op's plain time on its threads, which may exceed the step where ops overlap.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tfopt.trace.recording import Recording
from tfopt.trace.xspace import Ints

__all__ = ["Timeline", "exclusive", "sweep"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Timeline:
    """Per op: `wall` (exclusive share of the steps' wall time), `busy` (time on its threads), both in ps over all
    steps, and `count`, its events inside steps. `idle` is the time in which no op ran, `total` the steps' length."""

    wall: Floats
    busy: Floats
    count: Ints
    idle: float
    total: float


def sweep(recording: Recording) -> Timeline:
    """Split the wall time of the recording's steps among its ops."""
    start, end, event = exclusive(recording.start, recording.end, recording.thread)
    op = recording.op[event]
    waits = np.array([kind.kind == "marker" for kind in recording.ops], dtype=bool)[op]
    edges = np.unique(np.concatenate([start, end, recording.steps.ravel()]))
    width = np.diff(edges).astype(np.float64)
    inside = _coverage(edges, recording.steps[:, 0], recording.steps[:, 1]) > 0
    waiting = _coverage(edges, start[waits], end[waits])
    working = np.where(waiting > 0, 0, _coverage(edges, start[~waits], end[~waits]))

    first, last = np.searchsorted(edges, start), np.searchsorted(edges, end)
    size = len(recording.ops)
    wall = np.zeros(size)
    for pieces, active in ((waits, waiting), (~waits, working)):
        until = _until(np.where(inside & (active > 0), width / np.maximum(active, 1), 0.0))
        wall += np.bincount(op[pieces], weights=until[last[pieces]] - until[first[pieces]], minlength=size)
    inside_until = _until(np.where(inside, width, 0.0))
    busy = np.bincount(op, weights=inside_until[last] - inside_until[first], minlength=size).astype(np.float64)
    begin = np.searchsorted(edges, recording.start)
    in_step = inside_until[np.searchsorted(edges, recording.end)] > inside_until[begin]
    # A tail of asynchronous work (negative thread) continues an event that was counted already.
    counted = in_step & (recording.thread >= 0)
    count = np.bincount(recording.op[counted], minlength=size)
    total = float(inside_until[-1])
    return Timeline(wall, busy, count, total - float(wall.sum()), total)


def _until(gaps: Floats) -> Floats:
    """The sum of the gaps before each edge."""
    return np.concatenate([[0.0], np.cumsum(gaps)])


def _coverage(edges: Ints, start: Ints, end: Ints) -> Ints:
    """How many of the intervals cover each gap between neighbouring edges."""
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


def _nested_runs(start: Ints, end: Ints, thread: Ints) -> npt.NDArray[np.bool_]:
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
