"""One contestant in the drift worker: loaded, and asked for its numbers on the reference's batch."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from tfopt.model.load import load
from tfopt.model.said import said_as_notes
from tfopt.records.advice import StepFacts
from tfopt.records.base import Note, finite
from tfopt.workload.device import Placement, place
from tfopt.workload.drift.computed import Computed
from tfopt.workload.drift.probe import forward, probe
from tfopt.workload.drift.samples import Metrics, Samples, evaluate, samples_of
from tfopt.workload.duel.contestant import Contestant
from tfopt.workload.facts import step_facts
from tfopt.workload.failures import explained, file_at_fault
from tfopt.workload.graph import StepGraph
from tfopt.workload.prepared import prepared
from tfopt.workload.timing import finished
from tfopt.workload.workload import Workload

__all__ = ["Subject", "Trained", "same_values", "subject"]

_STEPS = 5


@dataclass(frozen=True)
class Trained:
    """What a few whole steps met: how many ran, how many updates loss scaling skipped (None without it), and how many
    losses were NaN or infinite."""

    steps: int = 0
    skipped: int | None = None
    nonfinite_losses: int = 0


@dataclass(frozen=True)
class Subject:
    """A contestant that is loaded and prepared."""

    contestant: Contestant
    workload: Workload
    placement: Placement
    weights: tuple[Any, ...]  # as loaded, before any precision

    def facts(self, arguments: Any) -> StepFacts:
        """What its step consists of."""
        with explained("tracing the step"):
            graph = StepGraph(self.workload.step.concrete(arguments))
            return step_facts(self.workload, graph, self.placement.name)

    def computes(self, arguments: Any) -> Computed:
        """Outputs, loss and gradients on one batch, before any update."""
        return probe(self.workload, arguments, self.placement, self.contestant.options.precision)

    def trains(self, arguments: Any) -> Trained:
        """A few whole steps on that batch, in half precision alone: elsewhere nothing is skipped."""
        before = self.workload.updates()
        if not self.workload.step.trains or "16" not in (self.contestant.options.precision or ""):
            return Trained()
        with explained("the step"):
            losses = [finished(self.workload.step(*arguments)) for _ in range(_STEPS)]
        lost = sum(finite(loss) is None for loss in losses) if self.workload.step.gives_loss else 0
        made = self.workload.updates()
        known = before is not None and made is not None and self.workload.step.gives_loss
        return Trained(_STEPS, _STEPS - (made - before) if known else None, lost)

    def samples(self, limit: int) -> Samples:
        """The user's data for its metrics."""
        return samples_of(self.workload.model, self.contestant.options, self.workload.batch.size, limit)

    def metrics(self, samples: Samples, seconds: float) -> Metrics:
        """Its metrics on these samples, on as many as it manages in the time."""
        if not samples:
            return {}
        with explained("evaluating the metric"):
            step = forward(self.workload, self.placement)
            return evaluate(self.workload.model, step, samples, time.monotonic() + seconds)
