"""One contestant in the drift worker: loaded, and asked for its numbers on the reference's batch."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfopt.model.inputs import fixed_batch, input_specs
from tfopt.model.said import said_as_notes
from tfopt.records.advice import StepFacts
from tfopt.records.base import finite
from tfopt.workload.device import Placement, place
from tfopt.workload.drift.paired import Metrics
from tfopt.workload.drift.probe import Probe, forward
from tfopt.workload.drift.samples import Samples, evaluate, samples_of
from tfopt.workload.facts import step_facts
from tfopt.workload.failures import explained, file_at_fault
from tfopt.workload.graph import StepGraph
from tfopt.workload.options import Options
from tfopt.workload.prepared import loaded_model, prepared
from tfopt.workload.timing import finished
from tfopt.workload.workers.contestant import Contestant
from tfopt.workload.workload import Workload

__all__ = ["Subject", "Trained", "same_batch", "subject"]

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
    """A contestant that is loaded and prepared; `weights` is a fingerprint of its weights as they were loaded."""

    contestant: Contestant
    workload: Workload
    placement: Placement
    weights: str

    @property
    def in_half(self) -> bool:
        """Whether it computes in half precision by its options."""
        return "16" in (self.contestant.options.precision or "")

    def facts(self, arguments: Any) -> StepFacts:
        """What its step, traced as a graph, consists of."""
        with explained("tracing the step"):
            graph = StepGraph(self.workload.step.concrete(arguments))
            return step_facts(self.workload, graph, self.placement.name)

    def probe(self) -> Probe:
        """What computes its outputs, loss and gradients."""
        return Probe.of(self.workload, self.placement, self.contestant.options.precision)

    def trains(self, arguments: Any) -> Trained:
        """A few whole steps on that batch, in half precision alone: elsewhere nothing is skipped."""
        step = self.workload.step
        if not step.trains or not self.in_half:
            return Trained()
        before = self.workload.updates()
        with explained("the step"):
            losses = [finished(step(*arguments)) for _ in range(_STEPS)]
        if not step.gives_loss:
            return Trained(_STEPS)
        made = self.workload.updates()
        skipped = None if before is None or made is None else _STEPS - (made - before)
        return Trained(_STEPS, skipped, sum(finite(loss) is None for loss in losses))

    def samples(self, limit: int) -> Samples:
        """The user's data for its metrics."""
        with explained("reading the samples"):
            return samples_of(self.workload.model, self.contestant.options, self.workload.batch.size, limit)

    def metrics(self, samples: Samples, seconds: float) -> Metrics:
        """Its metrics on these samples, on as many as it manages in the time."""
        if not samples:
            return {}
        with explained("evaluating the metric"):
            step = forward(self.workload, self.placement)
            return evaluate(self.workload.model, step, samples, time.monotonic() + seconds)


def subject(contestant: Contestant) -> Subject:
    """Load and prepare a contestant. Raises TfoptError."""
    placement = place(contestant.device)
    with placement.scope(), said_as_notes([]):
        loaded = loaded_model(contestant)
        weights = _fingerprint(loaded.model)
        options = _free_batch(loaded.model, contestant.options)
        with file_at_fault(loaded.source, options):
            return Subject(contestant, prepared(loaded, options, placement), placement, weights)


def _free_batch(model: Any, options: Options) -> Options:
    """A model whose batch is fixed has that one."""
    fixed = fixed_batch(input_specs(model, input_shape=options.input_shape))
    return options if fixed is None else replace(options, batch_size=None)


def _fingerprint(model: Any) -> str:
    digest = hashlib.sha256()
    for variable in getattr(model, "weights", None) or model.variables:
        digest.update(f"{variable.dtype}{tuple(variable.shape)}".encode())
        digest.update(np.ascontiguousarray(variable.numpy()).tobytes())
    return digest.hexdigest()


def same_batch(one: Any, other: Any) -> bool:
    """Whether two structures of inputs hold the same values under the same dtypes."""
    first, second = keras.tree.flatten(one), keras.tree.flatten(other)
    return len(first) == len(second) and all(map(_same, first, second))


def _same(one: Any, other: Any) -> bool:
    if type(one) is not type(other) or one.dtype != other.dtype or not isinstance(one, tf.Tensor):
        return False
    if one.shape != other.shape:
        return False
    both_nan = tf.not_equal(one, one) & tf.not_equal(other, other)
    return bool(tf.reduce_all(tf.equal(one, other) | both_nan))
