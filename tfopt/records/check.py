"""The record of a check: each gate of each model with its verdict, and what it was drawn from.

Shares, tolerances and relative changes are fractions of 1. Within schema version 1 fields may be added, never changed.
"""

from __future__ import annotations

from typing import Literal

from tfopt.records.base import Note, Record
from tfopt.records.comparison import Drift
from tfopt.records.duel import ArmTiming, DuelResult
from tfopt.records.facts import Environment, ModelFacts

__all__ = ["CHECK_SCHEMA", "CheckRecord", "CheckRun", "Gate", "GateKind", "GateVerdict", "LayerChange", "ModelCheck"]

CHECK_SCHEMA: Literal["tfopt.check/1"] = "tfopt.check/1"

GateKind = Literal["budget", "accuracy", "timing"]
# ERROR: the gate could not be judged (no samples, a fact that could not be found, the program crashed or hung);
# NEW: there is nothing to compare with yet, or only from another environment.
GateVerdict = Literal["PASS", "FAIL", "IMPROVED", "INCONCLUSIVE", "ERROR", "NEW"]
Unit = Literal["", "bytes", "FLOPs", "share", "ratio", "s"]


class LayerChange(Record, frozen=True, kw_only=True):
    """What a layer has of the gate's `layers_fact` now, and what it had; null where it is new or gone."""

    path: str
    type: str
    before: float | None
    after: float | None


class Gate(Record, frozen=True, kw_only=True):
    """One gate: `name` is its key in the configuration, `fact` what is held against `limit`; `reference` is the value
    of the lock or the baseline, where the limit is relative to it. `unit` is that of value, limit and reference.
    `message` says in one sentence what was found, `layers` where it changed, the largest change first, by `layers_fact`
    (a time has none of its own: what explains it), `look_closer` is the command that shows more (empty where nothing
    is wrong)."""

    kind: GateKind
    name: str
    fact: str
    verdict: GateVerdict
    value: float | None
    limit: float | None
    reference: float | None = None
    unit: Unit = ""
    message: str
    layers: tuple[LayerChange, ...] = ()
    layers_fact: str = ""
    look_closer: str = ""


class ModelCheck(Record, frozen=True, kw_only=True):
    """All gates of one model. `failure` says why it (or its baseline) could not be read (`unreadable`), or how it
    crashed or hung; `exit_code` is what this model alone would end the command with."""

    label: str
    model: str
    baseline: str | None
    gates: tuple[Gate, ...]
    failure: str = ""
    hint: str = ""
    ending: Literal["", "unreadable", "crashed", "hung"] = ""
    exit_code: int
    facts: ModelFacts | None = None
    baseline_facts: ModelFacts | None = None
    drift: Drift | None = None
    duel: DuelResult | None = None
    timings: tuple[ArmTiming, ...] = ()
    self_test: DuelResult | None = None
    notes: tuple[Note, ...] = ()


class CheckRun(Record, frozen=True, kw_only=True):
    """The circumstances. `lock` is the path of the lock file (null without one), `updated` whether it was written,
    `cpu_seconds` what the check took of the processor, worker processes included."""

    config: str | None
    lock: str | None
    updated: bool
    strict: bool
    environment: Environment
    max_seconds: float
    seconds: float
    cpu_seconds: float
    seed: int
    threads: int
    command: str
    started_at: str
    tfopt: str
    python: str


class CheckRecord(Record, frozen=True, kw_only=True):
    """One check of one or several models, in the order of the configuration. `exit_code` is that of the worst of them,
    or 130 where Ctrl-C ended the check: gates that were not judged then are ERRORs, and nothing was accepted."""

    schema: Literal["tfopt.check/1"] = CHECK_SCHEMA
    run: CheckRun
    exit_code: int
    models: tuple[ModelCheck, ...]
    notes: tuple[Note, ...] = ()
