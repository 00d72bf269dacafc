"""The reference and, one after the other, the arms that are compared with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from msgspec.structs import replace

from tfopt.errors import InputError, TfoptError
from tfopt.records.base import Note
from tfopt.workload.drift.computed import Computed, drift_between
from tfopt.workload.drift.messages import Drifted, DriftMessage, DriftTask, Known
from tfopt.workload.drift.paired import Metrics, metric_drifts
from tfopt.workload.drift.samples import Samples
from tfopt.workload.drift.subject import Subject, same_batch, subject
from tfopt.workload.workers.contestant import Contestant

__all__ = ["Comparing"]

Say = Callable[[DriftMessage], None]


@dataclass(frozen=True)
class Comparing:
    """What the reference computed, and on what."""

    task: DriftTask
    say: Say
    reference: Subject
    computed: Computed
    samples: Samples
    metrics: Metrics

    @classmethod
    def of(cls, task: DriftTask, say: Say) -> Comparing:
        """Run the reference. Raises TfoptError where it cannot be."""
        reference = subject(task.reference)
        arguments = reference.workload.batch.arguments
        say(Known(task.reference.label, reference.placement.name, reference.facts(arguments)))
        probe = reference.probe()
        computed = probe(arguments)
        size = reference.workload.batch.size
        again = drift_between(task.reference.label, task.reference.label, size, computed, probe(arguments))
        try:
            samples = reference.samples(task.samples)
            metrics = reference.metrics(samples, task.metric_seconds)
        except TfoptError as error:  # the rest can be compared all the same
            samples, metrics = (), {}
            again = replace(again, notes=(Note(message=f"no metric is compared: {error.message}"),))
        say(Drifted(task.reference.label, again))
        return cls(task, say, reference, computed, samples, metrics)

    def compare(self, arm: Contestant) -> None:
        """Tell how far `arm` is from the reference. Raises TfoptError."""
        own = arm.model == self.task.reference.model
        other = subject(arm)
        batch = self.reference.workload.batch
        if not own and not same_batch(other.workload.batch.x, batch.x):
            raise InputError(f"{arm.model} takes other inputs than {self.task.reference.model}", "")
        if own and other.in_half and not arm.options.eager:  # elsewhere its step is made of what the reference's is
            self.say(Known(arm.label, other.placement.name, other.facts(batch.arguments)))
        computed = other.probe()(batch.arguments)
        if other.weights != self.reference.weights:
            computed = Computed(computed.outputs, random_ops=computed.random_ops)
        drift = drift_between(arm.label, self.task.reference.label, batch.size, self.computed, computed)
        metrics = other.metrics(self.samples, self.task.metric_seconds)
        trained = other.trains(batch.arguments)
        drift = replace(
            drift,
            weights="same" if other.weights == self.reference.weights else "different",
            metrics=metric_drifts(self.metrics, metrics),
            steps=trained.steps,
            skipped_steps=trained.skipped,
            nonfinite_losses=drift.nonfinite_losses + trained.nonfinite_losses,
        )
        self.say(Drifted(arm.label, drift))
