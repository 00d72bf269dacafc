"""Advice: what to change, on what evidence, what it should gain, and the command that verifies it."""

from __future__ import annotations

from typing import Literal

import msgspec

from tfopt.records.base import Record

__all__ = ["Advice", "Fact", "Severity", "StepFacts"]

Severity = Literal["high", "medium", "low"]


class Fact(Record, frozen=True, kw_only=True):
    """One construct that was found in a step's graph or model: its `kind`, how often (`count`), in which layers, and
    numbers that matter to it, with units in their names. `ops` names the ops of the traced graph that it is about,
    where their time matters; `repeats` the op whose work each of them repeats."""

    kind: str
    count: int
    layers: tuple[str, ...] = ()
    numbers: dict[str, int | float] = msgspec.field(default_factory=dict)
    detail: str = ""
    ops: tuple[str, ...] = ()
    repeats: tuple[str, ...] = ()


class StepFacts(Record, frozen=True, kw_only=True):
    """What a step consists of, found without running it. Kinds that were not found are absent."""

    device: str
    half_precision: tuple[str, ...]
    """Half-precision dtypes that this machine multiplies in hardware, of `float16` and `bfloat16`."""
    half_known: bool = True
    """Whether the machine tells; where it does not, `half_precision` is empty and says nothing."""
    facts: tuple[Fact, ...] = ()

    def get(self, kind: str) -> Fact | None:
        """The first fact of this kind, if one was found."""
        return next(iter(self.all(kind)), None)

    def all(self, kind: str) -> tuple[Fact, ...]:
        """All facts of this kind."""
        return tuple(fact for fact in self.facts if fact.kind == kind)


class Advice(Record, frozen=True, kw_only=True):
    """One piece of advice. `id` names the rule; `message` is one plain sentence that says what is the case, with its
    numbers, `action` what to do (empty: nothing). `evidence` has the same numbers for programs, with units in their
    names.

    `gain_low` and `gain_high` are the fractions of the step that following it should save, at least and at most (null:
    not known).
    `command` verifies it; empty where no command can. `layers` are those concerned.
    """

    id: str
    severity: Severity
    message: str
    action: str
    evidence: dict[str, int | float] = msgspec.field(default_factory=dict)
    gain_low: float | None = None
    gain_high: float | None = None
    command: str = ""
    layers: tuple[str, ...] = ()
