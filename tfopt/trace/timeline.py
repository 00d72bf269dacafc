"""Who had the step's wall time: each instant of a step is split equally among the ops active in it.

While the step waits for data nothing of it can run, so that such an instant is the wait's alone, whatever else the
machine does meanwhile.

Shares found this way add up: the ops' and the idle time together are the step, however many threads ran. `busy` is
an op's plain time on its threads, which may exceed the step where ops overlap.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tfopt.trace.intervals import Floats, coverage, exclusive
from tfopt.trace.recording import Recording
from tfopt.trace.xspace import Ints

__all__ = ["Timeline", "sweep"]


@dataclass(frozen=True)
class Timeline:
    """Per op: `wall` (exclusive share of the steps' wall time), `executor` (the part of it that is the executor's work
    for the op), `busy` (time on its threads), all in ps over all steps, and `count`, its events inside steps.

    `idle` is the time in which no op ran and the executor worked for none, `total` the steps' length: the sum of both.
    """

    wall: Floats
    executor: Floats
    busy: Floats
    count: Ints
    idle: float
    total: float

    def only(self, ops: Sequence[int]) -> Timeline:
        """The timeline of these ops; what the others had becomes idle."""
        wall = self.wall[ops]
        parts = (wall, self.executor[ops], self.busy[ops], self.count[ops])
        return Timeline(*parts, max(0.0, self.total - float(wall.sum())), self.total)

    def scaled(self, factor: Floats, idle: float) -> Timeline:
        """The timeline with each op's times multiplied by its `factor`, and `idle` as it is given."""
        wall, executor, busy = (times * factor for times in (self.wall, self.executor, self.busy))
        return Timeline(wall, executor, busy, self.count, idle, float(wall.sum()) + idle)


def sweep(recording: Recording) -> Timeline:
    """Split the wall time of the recording's steps among its ops."""
    start, end, event = exclusive(recording.start, recording.end, recording.thread)
    op = recording.op[event]
    waits = recording.waits[op]
    loops = recording.executor[event] & (recording.thread[event] < 0)
    works = ~waits & ~loops
    edges = np.unique(np.concatenate([start, end, recording.steps.ravel()]))
    width = np.diff(edges).astype(np.float64)
    inside = coverage(edges, recording.steps[:, 0], recording.steps[:, 1]) > 0
    waiting = coverage(edges, start[waits], end[waits])
    working = np.where(waiting > 0, 0, coverage(edges, start[works], end[works]))
    between = np.where(waiting + working > 0, 0, coverage(edges, start[loops], end[loops]))

    first, last = np.searchsorted(edges, start), np.searchsorted(edges, end)
    size = len(recording.ops)
    shares = np.zeros(len(op))
    for pieces, active in ((waits, waiting), (works, working), (loops, between)):
        until = _until(np.where(inside & (active > 0), width / np.maximum(active, 1), 0.0))
        shares[pieces] = until[last[pieces]] - until[first[pieces]]
    wall = np.bincount(op, weights=shares, minlength=size).astype(np.float64)
    executor = np.bincount(op, weights=shares * recording.executor[event], minlength=size).astype(np.float64)
    inside_until = _until(np.where(inside, width, 0.0))
    busy_for = np.where(loops, shares, inside_until[last] - inside_until[first])
    busy = np.bincount(op, weights=busy_for, minlength=size).astype(np.float64)
    begin = np.searchsorted(edges, recording.start)
    in_step = inside_until[np.searchsorted(edges, recording.end)] > inside_until[begin]
    count = np.bincount(recording.op[in_step & recording.counted], minlength=size)
    total = float(inside_until[-1])
    return Timeline(wall, executor, busy, count, max(0.0, total - float(wall.sum())), total)


def _until(gaps: Floats) -> Floats:
    """The sum of the gaps before each edge."""
    return np.concatenate([[0.0], np.cumsum(gaps)])
