"""The record of a difference: one run against a baseline, in the step, its phases, layers, op types and ops.

`before` is the baseline, `after` the run; a change is always after − before, in milliseconds per step. The `own` times
of `layers`, and the times of `phases`, `types` and `ops`, each add up to the step's, idle time included. Within schema
version 1 fields may be added, never changed.
"""

from __future__ import annotations

from typing import Literal

from tfopt.records.base import Note, Record
from tfopt.records.profile import Phase

__all__ = [
    "DIFFERENCE_SCHEMA",
    "Change",
    "Circumstance",
    "DifferenceRecord",
    "LayerChange",
    "Match",
    "MatchedShare",
    "OpChange",
    "PhaseChange",
    "Presence",
    "Side",
    "TypeChange",
]

DIFFERENCE_SCHEMA: Literal["tfopt.difference/1"] = "tfopt.difference/1"

Presence = Literal["both", "new", "gone"]
Match = Literal["name", "type", "place", "none"]


class Change(Record, frozen=True, kw_only=True):
    """A time before and after: `change_ms` is after − before, `ratio` after over before (null where that is 0)."""

    before_ms: float
    after_ms: float
    change_ms: float
    ratio: float | None

    @classmethod
    def between(cls, before_ms: float, after_ms: float) -> Change:
        """The change from one time to another."""
        ratio = after_ms / before_ms if before_ms else None
        return cls(before_ms=before_ms, after_ms=after_ms, change_ms=after_ms - before_ms, ratio=ratio)


class Side(Record, frozen=True, kw_only=True):
    """One of the two runs: how it is called, its model, when it was recorded, and its own step time.

    `low_ms` to `high_ms` is the 95 % interval of this run's median: how it varies between runs is not in it.
    """

    run: str
    model: str
    started_at: str
    batch_size: int
    median_ms: float
    low_ms: float
    high_ms: float


class Circumstance(Record, frozen=True, kw_only=True):
    """Something about the runs that differs, as text: `before` in the baseline, `after` in the run."""

    name: str
    before: str
    after: str


class PhaseChange(Record, frozen=True, kw_only=True):
    """One phase of the step."""

    phase: Phase
    time: Change


class LayerChange(Record, frozen=True, kw_only=True):
    """One layer or bracketed row, matched by its path below the model.

    `path` is as in the run; a layer that is `gone` stands where it stood, under the run's name for the model. `own` is
    the time without its children, `total` with them. A type is null where that run has no such layer. A bracketed row
    is never new or gone: where a run does not list it, it took no time.
    """

    path: str
    before_type: str | None
    after_type: str | None
    presence: Presence
    own: Change
    total: Change


class TypeChange(Record, frozen=True, kw_only=True):
    """All ops of one type, and how many there are; `(idle)` is the time in which no op ran."""

    type: str
    presence: Presence
    before_ops: int
    after_ops: int
    time: Change


class OpChange(Record, frozen=True, kw_only=True):
    """One op, or ops that only match together.

    `match` says how they were found: one op by its layer, phase, type and `name`; what is left by layer, phase and
    type; what is still left by layer and phase, the `place`; or not (`none`: ops of one run alone). A type is that of
    the op that takes longest, null where that run has none; `name` is '' where several ops share the row.
    """

    layer: str
    phase: Phase
    match: Match
    presence: Presence
    name: str
    before_type: str | None
    after_type: str | None
    before_ops: int
    after_ops: int
    time: Change


class MatchedShare(Record, frozen=True, kw_only=True):
    """How much of each run's op time (without idle time) was matched in this way; all ways add up to 1."""

    match: Match
    before_share: float
    after_share: float


class DifferenceRecord(Record, frozen=True, kw_only=True):
    """A run against a baseline. Rows are sorted by the size of their change, phases in the order they run.

    `same_recording` is true where both sides are one recording. `intervals` says whether the two runs' own intervals
    overlap; either way it is no test, because runs of one program vary more than a run does inside itself.
    """

    schema: Literal["tfopt.difference/1"] = DIFFERENCE_SCHEMA
    before: Side
    after: Side
    same_recording: bool
    step: Change
    per_example: Change
    intervals: Literal["overlap", "apart"]
    circumstances: tuple[Circumstance, ...]
    phases: tuple[PhaseChange, ...]
    layers: tuple[LayerChange, ...]
    types: tuple[TypeChange, ...]
    ops: tuple[OpChange, ...]
    matched: tuple[MatchedShare, ...]
    notes: tuple[Note, ...] = ()
