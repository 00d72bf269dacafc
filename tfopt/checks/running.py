"""What baseline and candidate are run for: their outputs and metrics, and the duel. Each failure becomes a verdict."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from tfopt.checks.accuracy import accuracy_gates, defaulted
from tfopt.checks.checking import Checking
from tfopt.checks.closer import closer
from tfopt.checks.failure import Ending, Failure
from tfopt.checks.timing import self_test_gate, timing_gates
from tfopt.errors import TfoptError, UsageError
from tfopt.records.check import GateKind
from tfopt.records.check_settings import TimingSettings
from tfopt.records.duel import Clock
from tfopt.report.progress import ProgressCallback
from tfopt.workload.drift.drifting import NO_TIME, drifting
from tfopt.workload.duel import Contestant, DuelOutcome, duel

__all__ = ["Run"]

# Enough examples for sound statistics of BatchNormalization, and few enough for XLA's slowest kernels.
_OUTPUT_BATCH = 16
_METRIC = 0.3  # the part of the time for what is computed that one model's metrics may take
_ENDINGS: dict[str, Ending] = {
    "CRASHED": "crashed",
    "HUNG": "hung",
    "REFUSED": "unreadable",
}


@dataclass(frozen=True)
class Run:
    """What all models share: the clocks that gate, the one with the narrow tolerance first, and the progress."""

    clocks: tuple[Clock, ...]
    self_test: bool
    progress: ProgressCallback

    @property
    def stages(self) -> dict[GateKind, Callable[[Checking, float], Failure | None]]:
        """What judges each kind of gate, in this order: given a model and seconds, it gives the reason if it cannot."""
        return {"accuracy": self.accuracy, "timing": self.timing}

    def accuracy(self, checking: Checking, seconds: float) -> Failure | None:
        """What the candidate computes against what the baseline does. KeyboardInterrupt, UsageError."""
        subject = checking.subject
        assert subject.baseline is not None
        reference, candidate = map(_for_outputs, (subject.baseline, subject.candidate))
        found = drifting(
            reference,
            [candidate],
            samples=subject.accuracy.samples,
            metric_seconds=_METRIC * seconds,
            deadline=time.monotonic() + seconds,
            progress=self.progress,
        )
        if found.interrupted:
            raise KeyboardInterrupt
        itself, drift = found.drifts[reference.label], found.drifts[candidate.label]
        for side, error in ((reference, found.refusal), (candidate, found.refusals.get(candidate.label))):
            if reason := found.drifts[side.label].failure:
                failure = Failure.of(error) if error else _ended(side, reason, seconds, hung=found.hung)
                return failure if side is candidate else replace(failure, message=f"the baseline: {failure.message}")
        checking.drift = drift
        limits = defaulted(subject.accuracy, drift, data=candidate.options.data != "synthetic")
        checking.gates += accuracy_gates(drift, itself, limits)
        checking.notes += [*itself.notes, *drift.notes]
        return None

    def timing(self, checking: Checking, seconds: float) -> Failure | None:
        """How long the candidate takes against the baseline, and against itself. KeyboardInterrupt, UsageError."""
        subject, settings = checking.subject, checking.subject.timing
        both = self.self_test and subject.baseline is not None
        part = seconds / 2 if both else seconds
        if self.self_test:
            again = replace(subject.candidate, label=f"{subject.label} again")
            outcome = self._duel(subject.candidate, again, settings, part, one_sided=False)
            if isinstance(outcome, Failure):
                return outcome
            checking.self_test = outcome.results[0]
            checking.gates.append(self_test_gate(checking.self_test, settings))
        if subject.baseline is not None:
            outcome = self._duel(subject.baseline, subject.candidate, settings, part, one_sided=True)
            if isinstance(outcome, Failure):
                return outcome
            checking.duel, checking.timings = outcome.results[0], outcome.timings
            checking.notes += outcome.notes
            checking.gates += timing_gates(checking.duel, settings, clocks=self.clocks, self_test=checking.self_test)
        return None

    def _duel(
        self, baseline: Contestant, candidate: Contestant, settings: TimingSettings, seconds: float, *, one_sided: bool
    ) -> DuelOutcome | Failure:
        """What came out, or why either side could not be run."""
        try:
            outcome = duel(
                baseline,
                [candidate],
                tolerance=settings.tolerance,
                clock=self.clocks[0],
                max_seconds=seconds,
                max_processes=settings.processes,
                one_sided=one_sided,
                seed=candidate.options.seed,
                progress=self.progress,
            )
            if outcome.failure is not None:
                raise outcome.failure
        except UsageError:
            raise
        except TfoptError as error:
            return Failure.of(error)
        if outcome.interrupted:
            raise KeyboardInterrupt
        result = outcome.results[0]
        ending = _ENDINGS.get(result.verdict)
        return outcome if ending is None else Failure(ending, result.reason, _alone(candidate))


def _for_outputs(contestant: Contestant) -> Contestant:
    options = contestant.options
    size = options.batch_size and min(options.batch_size, _OUTPUT_BATCH)
    few = size or (None if ":" in options.data else _OUTPUT_BATCH)
    return replace(contestant, options=replace(options, mode="infer", batch_size=few))


def _ended(side: Contestant, reason: str, seconds: float, *, hung: bool) -> Failure:
    if reason == NO_TIME:
        return Failure.overdue("comparing outputs", seconds, _alone(side), working=not hung)
    return Failure("crashed", f"comparing outputs: {reason}", _alone(side))


def _alone(side: Contestant) -> str:
    command = closer(side, "profile")
    return f"see whether it runs alone: {command}" if command else "tfopt profile shows whether it runs alone"
