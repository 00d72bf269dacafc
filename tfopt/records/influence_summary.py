"""The short of a model's influence that a profile has."""

from __future__ import annotations

from tfopt.records.base import Record
from tfopt.records.health import HealthWarning
from tfopt.records.path_weights import PathReport

__all__ = ["InfluenceSummary"]


class InfluenceSummary(Record, frozen=True, kw_only=True):
    """Path weights without those of single variables, and what is wrong with signals and gradients of the step's batch.

    `samples` were looked at for the latter (null: none, the step does not train or could not be looked into);
    `forward_gain` and `backward_gain` are geometric means per layer.
    """

    paths: PathReport | None = None
    samples: int | None = None
    forward_gain: float | None = None
    backward_gain: float | None = None
    warnings: tuple[HealthWarning, ...] = ()
