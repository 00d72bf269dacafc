"""Drift as the parent sees it: worker processes that compare arms with their reference, and what came of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tfopt.errors import RunFailed, TfoptError
from tfopt.records.advice import StepFacts
from tfopt.records.comparison import Drift
from tfopt.report.progress import ProgressCallback
from tfopt.workload.drift.messages import Drifted, DriftMessage, DriftTask, Known
from tfopt.workload.workers.contestant import Contestant
from tfopt.workload.workers.messages import Doing, Refused
from tfopt.workload.workers.process import PYTHON, Ended, Worker, worker

__all__ = ["NO_TIME", "Drifting", "drifting"]

_COMMAND = (*PYTHON, "tfopt.workload.drift.worker")
NO_TIME = "there was no time left for it"


@dataclass
class Drifting:
    """What was found, by the contestants' labels: drifts in the order in which they came, facts of the steps, and the
    device that the reference ran on. `refusal` is what is wrong with the model, the data or the options, if it is,
    `refusals` what is wrong with an arm's; `model` is the reference's; `interrupted` says that Ctrl-C ended it, `hung`
    that the time was over while a worker did nothing."""

    drifts: dict[str, Drift] = field(default_factory=dict)
    facts: dict[str, StepFacts] = field(default_factory=dict)
    device: str | None = None
    refusal: TfoptError | None = None
    refusals: dict[str, TfoptError] = field(default_factory=dict)
    model: str = ""
    interrupted: bool = False
    hung: bool = False

    def failed(self, label: str, reference: Contestant, reason: str) -> None:
        """Keep why there is no drift of `label`, if there is none."""
        failure = Drift(label=label, reference=reference.label, batch_size=0, failure=reason)
        self.drifts.setdefault(label, failure)


def drifting(
    reference: Contestant,
    arms: Sequence[Contestant],
    *,
    samples: int,
    metric_seconds: float,
    deadline: float,
    progress: ProgressCallback,
) -> Drifting:
    """Compare each arm with the reference until `deadline` (of `time.monotonic`); what fails says why in its drift.

    Where a worker process dies, the arm that it was at has failed, and another process goes on with the rest. Ctrl-C
    ends it: what was found until then stays.
    """
    found = Drifting(model=reference.model)
    try:
        _drift(found, reference, arms, samples, metric_seconds, deadline, progress)
    except KeyboardInterrupt:
        found.interrupted = True
        for label in (reference.label, *(arm.label for arm in arms)):
            found.failed(label, reference, "interrupted before it was")
    return found


def _drift(
    found: Drifting,
    reference: Contestant,
    arms: Sequence[Contestant],
    samples: int,
    metric_seconds: float,
    deadline: float,
    progress: ProgressCallback,
) -> None:
    labels = [reference.label, *(arm.label for arm in arms)]
    while left := [label for label in labels if label not in found.drifts]:
        # XLA compiles longest: where the time ends, it costs its own numbers alone.
        chosen = tuple(sorted((arm for arm in arms if arm.label in left), key=lambda arm: bool(arm.options.xla)))
        with worker(DriftTask(reference, chosen, samples, metric_seconds), _COMMAND, DriftMessage) as child:
            at, failure = _listen(child, reference, left, found, deadline, progress)
        alone = at in left and at != reference.label and failure != NO_TIME
        for label in [at] if alone else left:
            found.failed(label, reference, failure)


def _listen(
    child: Worker[DriftMessage],
    reference: Contestant,
    left: Sequence[str],
    found: Drifting,
    deadline: float,
    progress: ProgressCallback,
) -> tuple[str, str]:
    """Take in what one worker says until nothing is `left`: the last contestant that it was at, and why it did not
    finish."""
    at = ""
    try:
        while any(label not in found.drifts for label in left):
            match child.receive(deadline):
                case None:
                    found.hung = not child.working
                    return at, NO_TIME
                case Doing(label=at, phase=phase):
                    progress(f"{at}: {phase}", None)
                case Known(label=label, device=device, facts=facts):
                    found.device = found.device or device
                    found.facts[label] = facts
                case Drifted(label=label, drift=drift):
                    found.drifts[label] = drift
                case Refused(label=label, message=message) as refused if label == reference.label:
                    error = refused.error()
                    found.refusal = None if isinstance(error, RunFailed) else error
                    return label, message
                case Refused(label=label, message=message) as refused:
                    found.refusals[label] = refused.error()
                    found.failed(label, reference, message)
    except Ended as ended:
        return at, str(ended)
    return at, ""
