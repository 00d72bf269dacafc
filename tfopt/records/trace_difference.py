"""The record of a difference between two traces that tfopt did not make: by kernel, op, type, phase and name scope.

`before` is the baseline, `after` the trace; a change is always after − before, of time on devices' streams (or on
hosts' threads). The times of each table add up to `op_time`; only devices have `kernels`. Within schema version 1
fields may be added, never changed.
"""

from __future__ import annotations

from typing import Literal

from tfopt.records.base import Note, Record
from tfopt.records.difference import Change, Presence
from tfopt.records.trace import Where

__all__ = ["TRACE_DIFFERENCE_SCHEMA", "NameChange", "TraceDifferenceRecord", "TraceSide"]

TRACE_DIFFERENCE_SCHEMA: Literal["tfopt.trace-difference/1"] = "tfopt.trace-difference/1"


class TraceSide(Record, frozen=True, kw_only=True):
    """One of the two traces: its path and what its clock saw. `steps` is null where it marks none."""

    path: str
    where: Where
    devices: int
    steps: int | None
    span_ms: float
    op_ms: float
    idle_share: float


class NameChange(Record, frozen=True, kw_only=True):
    """All that ran under one name; time that no op claims stands under what it is, in brackets.

    `each_ratio` is the time of one occurrence, after over before (null where one trace has none): it does not depend
    on how long a trace is.
    """

    name: str
    presence: Presence
    before_occurrences: int
    after_occurrences: int
    time: Change
    each_ratio: float | None


class TraceDifferenceRecord(Record, frozen=True, kw_only=True):
    """A trace against a baseline. Times are `per` step where both traces mark steps, else those of the whole trace.
    Rows are sorted by the size of their change."""

    schema: Literal["tfopt.trace-difference/1"] = TRACE_DIFFERENCE_SCHEMA
    before: TraceSide
    after: TraceSide
    same_recording: bool
    per: Literal["step", "trace"]
    op_time: Change
    kernels: tuple[NameChange, ...]
    ops: tuple[NameChange, ...]
    types: tuple[NameChange, ...]
    phases: tuple[NameChange, ...]
    scopes: tuple[NameChange, ...]
    notes: tuple[Note, ...] = ()
