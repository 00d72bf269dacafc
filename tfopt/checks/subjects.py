"""What is checked: each model with its baseline, its limits and the name under which the lock knows it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import msgspec

from tfopt.checks.settings import merged, satisfiable
from tfopt.errors import UsageError
from tfopt.model.source import file_label
from tfopt.records.check_settings import AccuracySettings, BudgetSettings, ModelSettings, TimingSettings
from tfopt.workload.workers.contestant import Contestant

__all__ = ["Subject", "subjects_of"]

_Settings = TypeVar("_Settings", bound=msgspec.Struct)


@dataclass(frozen=True)
class Subject:
    """A model, how to run it and its baseline (None without one), and the limits of each kind of gate."""

    candidate: Contestant
    baseline: Contestant | None
    budgets: Mapping[str, float | Sequence[str]]
    accuracy: AccuracySettings
    timing: TimingSettings

    @property
    def label(self) -> str:
        """The name in the report and in the lock."""
        return self.candidate.label


def subjects_of(
    named: Sequence[ModelSettings],
    models: Sequence[ModelSettings],
    general: ModelSettings,
    base: Contestant,
    tolerance: float | None = None,
) -> tuple[Subject, ...]:
    """What to check, in order: the models that are `named`, with the settings of those of `models` that have the path
    or the label, or where none is named, all `models`.

    `general` has the limits and the baseline of those without their own, `base` how all of them run; `tolerance` goes
    before any in a table. UsageError where there is none, or two of one label, or limits make no sense.
    """
    tables = _chosen(named, models)
    if not tables:
        raise UsageError("there is no model to check", "name one, or write [[check.models]] in the configuration")
    found = tuple(_subject(table, general, base, tolerance) for table in tables)
    sides = [side.label for subject in found for side in (subject.candidate, subject.baseline) if side is not None]
    label, count = Counter(sides).most_common(1)[0]
    if count > 1:
        raise UsageError(f"{count} models are called {label}", "give each a label of its own in [[check.models]]")
    return found


def _chosen(named: Sequence[ModelSettings], models: Sequence[ModelSettings]) -> Sequence[ModelSettings]:
    paths = {os.path.normpath(one.model): one for one in models}
    labels = {one.label: one for one in models if one.label}
    return [labels.get(one.model) or paths.get(os.path.normpath(one.model), one) for one in named] or models


def _subject(table: ModelSettings, general: ModelSettings, base: Contestant, tolerance: float | None) -> Subject:
    label = table.label or file_label(os.path.normpath(table.model))
    options = replace(base.options, data=table.data or base.options.data)
    candidate = replace(base, label=label, model=table.model, options=options)
    baseline = table.baseline or general.baseline

    def own(kind: type[_Settings], name: str) -> _Settings:
        return merged(kind, getattr(general, name), getattr(table, name), f"check.{name}", f"{name} of {label}")

    timing = own(TimingSettings, "timing")
    budgets = {
        key: value for key, value in msgspec.structs.asdict(own(BudgetSettings, "budgets")).items() if value is not None
    }
    satisfiable(budgets, f"budgets of {label}")
    return Subject(
        candidate,
        None if baseline is None else replace(candidate, label=f"the baseline of {label}", model=baseline),
        budgets,
        own(AccuracySettings, "accuracy"),
        timing if tolerance is None else msgspec.structs.replace(timing, tolerance=tolerance),
    )
