"""What is known of one contestant so far, and the records that follow from it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import fmean, median

from tfopt.records.duel import CLOCKS, ArmTiming, Clock, DuelResult, Ending, Interval, Verdict
from tfopt.report import units
from tfopt.workload.duel.enough import log_ratio
from tfopt.workload.duel.messages import Pair, Ready, Time
from tfopt.workload.duel.statistics import bounds, half_width, judge, resolvable, telling_clock

__all__ = ["Standing", "interval"]


@dataclass
class Standing:
    """One contestant: `processes` has the pairs of each process that it finished, `early` whether it was stopped early
    there. `failure` is a verdict of its own with its reason. `cost_s` is what the last process spent on it."""

    label: str
    processes: list[tuple[Pair, ...]] = field(default_factory=list)
    early: list[bool] = field(default_factory=list)
    readies: list[Ready] = field(default_factory=list)
    failure: tuple[Verdict, str] | None = None
    cost_s: float | None = None

    @property
    def gross(self) -> bool:
        """Whether it was stopped early in every process."""
        return bool(self.early) and all(self.early)

    @property
    def on_cpu(self) -> bool:
        """Whether it never ran on another device."""
        return all(ready.on_cpu for ready in self.readies)

    def logs(self, clock: Clock) -> list[float]:
        """The median log-ratio of each process."""
        return [median(log_ratio(pair, clock) for pair in pairs) for pairs in self.processes]

    def timing(self, blocks: Iterable[Time]) -> ArmTiming:
        """The contestant by itself; `blocks` are its own."""
        examples = fmean(ready.examples for ready in self.readies) if self.readies else 0.0
        times = [tuple(examples * time for time in block) for block in blocks]
        wall, cpu = (median(side) for side in zip(*times, strict=True)) if times else (None, None)
        return ArmTiming(
            label=self.label,
            wall_ms=wall,
            cpu_ms=cpu,
            prepare_s=median(ready.prepare_s for ready in self.readies) if self.readies else None,
            compile_s=median(ready.compile_s for ready in self.readies) if self.readies else None,
            examples_per_step=examples,
            blocks=len(times),
            device=next((ready.device for ready in self.readies if ready.device), None),
        )

    def result(
        self, baseline: Standing, tolerance: float, clock: Clock | None, ended: Ending, unmeasured: str
    ) -> DuelResult:
        """The contestant against the baseline; `unmeasured` says why where nothing was measured of it."""
        intervals = {clock: interval(self.logs(clock), sum(map(len, self.processes))) for clock in CLOCKS}
        by = clock or self._telling_clock(baseline, tolerance)
        logs = self.logs(by)
        verdict, reason = self.failure or (("NOT RUN", unmeasured) if not logs else self._judged(by, clock, tolerance))
        return DuelResult(
            label=self.label,
            baseline=baseline.label,
            verdict=verdict,
            clock=by,
            tolerance=tolerance,
            wall=intervals["wall"],
            cpu=intervals["cpu"],
            resolvable=math.expm1(resolvable(logs, tolerance)) if len(logs) > 1 else None,
            early=self.gross,
            ended=ended,
            reason=reason,
        )

    def _telling_clock(self, baseline: Standing, tolerance: float) -> Clock:
        measured = self.processes and self.on_cpu and baseline.on_cpu
        return telling_clock(self.logs("wall"), self.logs("cpu"), tolerance) if measured else "wall"

    def _judged(self, by: Clock, asked: Clock | None, tolerance: float) -> tuple[Verdict, str]:
        logs = self.logs(by)
        verdict = judge(logs, tolerance)
        if len(logs) == 1:
            return verdict, "one process only: an interval takes two"
        if verdict == "INCONCLUSIVE":
            low, high = (math.expm1(bound) for bound in bounds(logs)[1:])
            return (
                verdict,
                f"{100 * low:+.1f} to {100 * high:+.1f} % is neither within the tolerance of "
                f"{units.percent(tolerance)} nor beyond it",
            )
        if by != (asked or "wall"):
            resolved = units.percent(math.expm1(half_width(self.logs("wall"))))
            return verdict, f"by CPU time: wall time resolves no less than {resolved}"
        return verdict, "its blocks are more than 2 times apart: stopped early" if self.gross else ""


def interval(logs: Sequence[float], pairs: int) -> Interval | None:
    """The record of log-ratios, one per process; None without any."""
    if not logs:
        return None
    mean, low, high = bounds(logs)
    known = len(logs) > 1
    return Interval(
        ratio=math.exp(mean),
        low=math.exp(low) if known else None,
        high=math.exp(high) if known else None,
        processes=len(logs),
        pairs=pairs,
        log_ratios=tuple(logs),
    )
