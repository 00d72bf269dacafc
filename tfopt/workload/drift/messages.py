"""What the parent and the worker of drift tell each other."""

from __future__ import annotations

import msgspec

from tfopt.records.advice import StepFacts
from tfopt.records.comparison import Drift
from tfopt.workload.workers.contestant import Contestant
from tfopt.workload.workers.messages import Doing, Refused

__all__ = ["DriftMessage", "DriftTask", "Drifted", "Known"]


class DriftTask(msgspec.Struct, frozen=True):
    """Compare what each arm computes with what the reference does; metrics over at most `samples` samples, for at most
    `metric_seconds` per arm."""

    reference: Contestant
    arms: tuple[Contestant, ...]
    samples: int
    metric_seconds: float


class Known(msgspec.Struct, frozen=True, tag=True):
    """Where a contestant runs, and what its step consists of."""

    label: str
    device: str
    facts: StepFacts


class Drifted(msgspec.Struct, frozen=True, tag=True):
    """One arm's drift."""

    label: str
    drift: Drift


DriftMessage = Doing | Known | Drifted | Refused
