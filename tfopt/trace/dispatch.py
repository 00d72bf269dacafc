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

__all__ = ["KERNEL_NAME", "Dispatch", "dispatch"]

KERNEL_NAME = "kernel_name"
_PROCESS, _HAND_ON, _SCHEDULE = "ExecutorState::Process", "ExecutorPropagateOutputs", "ExecutorState::ScheduleReady"


@dataclass(frozen=True)
class Dispatch:
    """Pieces of the executor's time on one thread, outside of ops: `start`, `end` (ps), and `owner`, the position in
    the line of the event that says whom the piece was for: an op, or an event with a `kernel_name`."""

    start: Ints
    end: Ints
    owner: Ints


def dispatch(line: Line, kinds: Mapping[int, EventKind], is_op: Mask) -> Dispatch:
    """The executor's pieces of a line; `is_op` marks its events that are ops."""
    process, hand_on, schedule = (_called(line, kinds, name) for name in (_PROCESS, _HAND_ON, _SCHEDULE))
    if not process.any() or not hand_on.any():
        nothing = np.zeros(0, dtype=np.int64)
        return Dispatch(nothing, nothing, nothing)
    bounds = (line.start[is_op], line.end[is_op], line.start[process], line.end[process])
    edges = np.unique(np.concatenate([*bounds, line.end[hand_on], line.end[schedule]]))
    executing = coverage(edges, line.start[process], line.end[process]) > 0
    gaps = np.flatnonzero(executing & (coverage(edges, line.start[is_op], line.end[is_op]) == 0))
    when, owner = _claims(line, is_op, hand_on, schedule)
    begin, until = edges[gaps], edges[gaps + 1]
    next_claim = np.searchsorted(when, until)
    # What follows the last claim of a Process is still that claim's.
    outside = np.append(edges[:-1][~executing], edges[-1])
    leaves = outside[np.searchsorted(outside, until)] if len(outside) else until
    beyond = (next_claim >= len(when)) | (when[np.minimum(next_claim, len(when) - 1)] > leaves)
    return _merged(begin, until, owner[np.maximum(next_claim - beyond, 0)])


def _called(line: Line, kinds: Mapping[int, EventKind], name: str) -> Mask:
    wanted = [key for key, kind in kinds.items() if kind.name == name]
    return np.isin(line.kind, wanted)


def _claims(line: Line, is_op: Mask, hand_on: Mask, schedule: Mask) -> tuple[Ints, Ints]:
    """(time, owner): until `time` the executor worked for the event at position `owner`, ordered by time."""
    ops, handed = np.flatnonzero(is_op), np.flatnonzero(hand_on)
    ops, handed = ops[np.argsort(line.end[ops])], handed[np.argsort(line.end[handed])]
    for_whom = _handed_on(line, ops, handed)
    scheduled = line.end[schedule]
    behind = np.maximum(np.searchsorted(line.end[handed], scheduled, side="right") - 1, 0)
    when = np.concatenate([line.start[ops], line.end[handed], scheduled])
    owner = np.concatenate([ops, for_whom, for_whom[behind]])
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
