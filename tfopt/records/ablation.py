"""What scores of units are worth on a model: part of what `tfopt influence` records."""

from __future__ import annotations

from typing import Literal

from tfopt.records.base import Record

__all__ = [
    "AblationReport",
    "AblationRow",
    "AblationVerdict",
    "Ranking",
]


class AblationRow(Record, frozen=True, kw_only=True):
    """The metric after units were set to zero: those that `score` ranks weakest or strongest, or random ones (mean and
    deviation over `draws`). `change` is to the intact model; the same for accuracy, where targets are classes.

    `units` counts what was set to zero, branches at level `branch`; `layers` says in which layers they are (merges, for
    branches), the most first.
    """

    chosen: Literal["weakest", "strongest", "random"]
    score: str
    units: int
    metric: float | None
    change: float | None
    deviation: float | None = None
    draws: int = 1
    accuracy: float | None = None
    accuracy_change: float | None = None
    accuracy_deviation: float | None = None
    layers: tuple[tuple[str, int], ...] = ()


Ranking = Literal["better", "no better", "backwards", "unknown"]
"""Than random: `better` where the weakest cost less than every random draw and the strongest more (random sets would
come out so once in (draws + 1) · (draws + 2) times), `backwards` where it is the other way round."""


class AblationVerdict(Record, frozen=True, kw_only=True):
    """What one score is worth on this model and these data, in one word and in one sentence."""

    score: str
    ranking: Ranking
    sentence: str


class AblationReport(Record, frozen=True, kw_only=True):
    """What scores are worth on this model: the change of a metric when units, or branches, are set to zero.

    `candidates` may be set to zero: all but the model's outputs. `warning` says why the figures mean nothing (empty
    where nothing is known against them).
    """

    metric: str
    samples: int
    intact: float | None
    rows: tuple[AblationRow, ...]
    verdict: str = ""
    """One sentence per score."""
    level: Literal["unit", "branch"] = "unit"
    candidates: int = 0
    intact_accuracy: float | None = None
    verdicts: tuple[AblationVerdict, ...] = ()
    warning: str = ""
