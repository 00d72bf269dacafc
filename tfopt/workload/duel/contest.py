"""The whole duel: worker after worker until every arm is decided or the time is over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tfopt.records.duel import ArmTiming, Clock, DuelResult
from tfopt.report.progress import ProgressCallback, silent
from tfopt.workload.duel.contestant import Contestant

__all__ = ["DuelOutcome", "duel"]


@dataclass(frozen=True)
class DuelOutcome:
    """What a duel found: a timing per contestant (the baseline first), a result per arm, in the order given.

    `interrupted` where Ctrl-C ended it: arms are then judged by what had been measured.
    """

    timings: tuple[ArmTiming, ...]
    results: tuple[DuelResult, ...]
    interrupted: bool = False


def duel(
    baseline: Contestant,
    arms: Sequence[Contestant],
    *,
    tolerance: float = 0.05,
    clock: Clock | None = None,
    max_seconds: float = 300,
    min_processes: int = 4,
    max_processes: int = 12,
    seed: int = 0,
    progress: ProgressCallback = silent,
    on_result: Callable[[DuelResult], None] | None = None,
) -> DuelOutcome:
    """Measure each arm against the baseline, side by side in fresh processes, until it is decided.

    Args:
        baseline: what the arms are compared with. Ratios are of times per example: arm / baseline.
        arms: the contenders, each with a label of its own.
        tolerance: a change below it does not matter (0.05: 5 %).
        clock: `wall` or `cpu` (CPU time of the process) decides; None: wall time.
        max_seconds: the whole duel ends within it, start of workers included.
        min_processes, max_processes: fresh worker processes per arm.
        seed: for the order within pairs; models and data have their own in `Options`.
        progress: called with a stage and the fraction done.
        on_result: called with each arm's result as soon as it is final.

    Raises:
        UsageError: labels or numbers that make no sense.
        InputError, RunFailed: the baseline cannot be run, with its reason.
    """
    raise NotImplementedError
