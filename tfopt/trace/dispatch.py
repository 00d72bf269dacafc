"""The executor's own work, and the op that it was done for.

In graph mode TensorFlow's executor runs ops one after another on its threads, inside events `ExecutorState::Process`.
What it does between two ops (prepare inputs, hand results on, schedule what became ready) takes longer than the ops
themselves where these are tiny, as in a recurrent loop. It ends the work for an op with `ExecutorPropagateOutputs`,
and then schedules its readers; so every instant of a Process belongs to the op that is handed on next. Constants,
no-ops and the ends of loops are never shown as ops, and named by that event alone (its stat `kernel_name`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tfopt.trace.intervals import Mask, coverage
from tfopt.trace.xspace import EventKind, Ints, Line

__all__ = ["KERNEL_NAME", "Dispatch", "ExecutorKinds", "dispatch"]

KERNEL_NAME = "kernel_name"


@dataclass(frozen=True)
class ExecutorKinds:
    """The kinds of the executor's own events on a plane, by what they are."""

    process: Ints
    hand_on: Ints
    schedule: Ints

    @classmethod
    def among(cls, kinds: Mapping[int, EventKind]) -> ExecutorKinds:
        """Those of a plane's `kinds`."""
        names = ("ExecutorState::Process", "ExecutorPropagateOutputs", "ExecutorState::ScheduleReady")
        return cls(*(np.array([key for key, kind in kinds.items() if kind.name == name], np.int64) for name in names))


@dataclass(frozen=True)
class Dispatch:
    """Pieces of the executor's time on one thread, outside of ops: `start`, `end` (ps), and `owner`, the position in
    the line of the event that says whom the piece was for: an op, or an event with a `kernel_name`."""

    start: Ints
    end: Ints
    owner: Ints


_NOTHING = Dispatch(*[np.zeros(0, dtype=np.int64)] * 3)


def dispatch(line: Line, kinds: ExecutorKinds, is_op: Mask) -> Dispatch:
    """The executor's pieces of a line; `is_op` marks its events that are ops."""
    process, hand_on, schedule = (np.isin(line.kind, of) for of in (kinds.process, kinds.hand_on, kinds.schedule))
    if not process.any() or not hand_on.any():
        return _NOTHING
    bounds = (line.start[is_op], line.end[is_op], line.start[process], line.end[process])
    edges = np.unique(np.concatenate([*bounds, line.end[hand_on], line.end[schedule]]))
    executing = coverage(edges, line.start[process], line.end[process]) > 0
    gaps = np.flatnonzero(executing & (coverage(edges, line.start[is_op], line.end[is_op]) == 0))
    begin, until = edges[gaps], edges[gaps + 1]
    when, owner = _claims(line, is_op, hand_on, schedule)
    claim = np.searchsorted(when, until)
    # A claim counts within its own stretch of Process events; what follows the last one is still that one's.
    enters, leaves = _stretches(edges, executing, begin, until)
    beyond = (claim >= len(when)) | (when[np.minimum(claim, len(when) - 1)] > leaves)
    at = np.maximum(claim - beyond, 0)
    known = ~beyond | ((claim > 0) & (when[at] > enters))
    return _merged(begin[known], until[known], owner[at[known]])


def _stretches(edges: Ints, executing: Mask, begin: Ints, until: Ints) -> tuple[Ints, Ints]:
    """When the thread entered and left the Process events around each piece."""
    entered = np.concatenate([edges[:1], edges[1:][~executing]])
    left = np.append(edges[:-1][~executing], edges[-1])
    return entered[np.searchsorted(entered, begin, side="right") - 1], left[np.searchsorted(left, until)]


def _claims(line: Line, is_op: Mask, hand_on: Mask, schedule: Mask) -> tuple[Ints, Ints]:
    """(time, owner): until `time` the executor worked for the event at position `owner`, ordered by time."""
    ops, handed = np.flatnonzero(is_op), np.flatnonzero(hand_on)
    ops, handed = ops[np.argsort(line.end[ops])], handed[np.argsort(line.end[handed])]
    for_whom = _handed_on(line, ops, handed)
    scheduled = line.end[schedule]
    behind = np.maximum(np.searchsorted(line.end[handed], scheduled, side="right") - 1, 0)
    when = np.concatenate([line.end[handed], scheduled, line.start[ops]])  # in this order where they coincide
    owner = np.concatenate([for_whom, for_whom[behind], ops])
    order = np.argsort(when, kind="stable")
    return when[order], owner[order]


def _handed_on(line: Line, ops: Ints, handed: Ints) -> Ints:
    """Whose results each of the `handed` events hands on: the op's that ended since the one before, else its own
    `kernel_name` must tell."""
    if len(ops) == 0:
        return handed
    last_op = np.searchsorted(line.end[ops], line.start[handed], side="right") - 1
    previous = np.concatenate([[np.iinfo(np.int64).min], line.end[handed][:-1]])
    since = (last_op >= 0) & (line.end[ops][np.maximum(last_op, 0)] > previous)
    return np.where(since, ops[np.maximum(last_op, 0)], handed)


def _merged(start: Ints, end: Ints, owner: Ints) -> Dispatch:
    """Join pieces that follow each other and have one owner."""
    if len(start) == 0:
        return Dispatch(start, end, owner)
    first = np.concatenate([[True], (owner[1:] != owner[:-1]) | (start[1:] != end[:-1])])
    last = np.concatenate([first[1:], [True]])
    return Dispatch(start[first], end[last], owner[first])
