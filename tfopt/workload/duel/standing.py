"""What is known of one contestant so far, and the records that follow from it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import fmean, median

from tfopt.records.duel import ArmTiming, Clock, DuelResult, Interval, Verdict
from tfopt.workload.duel.messages import Pair, Ready, Time
from tfopt.workload.duel.statistics import bounds, half_width, judge

__all__ = ["CLOCKS", "Standing", "interval"]

CLOCKS: tuple[Clock, Clock] = ("wall", "cpu")


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

    def logs(self, clock: Clock) -> list[float]:
        """The median log-ratio of each process."""
        side = CLOCKS.index(clock)
        return [median(math.log(pair.arm[side] / pair.baseline[side]) for pair in pairs) for pairs in self.processes]

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
        )

    def result(self, baseline: str, tolerance: float, clock: Clock | None, unmeasured: str) -> DuelResult:
        """The contestant against the baseline; `unmeasured` says why where nothing was measured of it."""
        intervals = {clock: interval(self.logs(clock), sum(map(len, self.processes))) for clock in CLOCKS}
        by = clock or self._telling_clock(tolerance)
        logs = self.logs(by)
        verdict, reason = self.failure or (("NOT RUN", unmeasured) if not logs else self._judged(by, clock, tolerance))
        return DuelResult(
            label=self.label,
            baseline=baseline,
            verdict=verdict,
            clock=by,
            tolerance=tolerance,
            wall=intervals["wall"],
            cpu=intervals["cpu"],
            resolvable=math.expm1(half_width(logs)) if len(logs) > 1 else None,
            early=self.gross,
            reason=reason,
        )

    def _telling_clock(self, tolerance: float) -> Clock:
        """Wall time; CPU time where wall time cannot tell, its interval being too wide, and that of CPU time is not."""
        wall, cpu, limit = self.logs("wall"), self.logs("cpu"), math.log1p(tolerance)
        unclear = wall and judge(wall, tolerance) == "INCONCLUSIVE" and half_width(wall) > limit
        return "cpu" if unclear and self.readies[-1].on_cpu and half_width(cpu) <= limit else "wall"

    def _judged(self, by: Clock, asked: Clock | None, tolerance: float) -> tuple[Verdict, str]:
        logs = self.logs(by)
        verdict = judge(logs, tolerance)
        if len(logs) == 1:
            return verdict, "one process only: an interval takes two"
        if verdict == "INCONCLUSIVE":
            low, high = (math.expm1(bound) for bound in bounds(logs)[1:])
            return (
                verdict,
                f"{low:+.1%} to {high:+.1%} is neither within the tolerance of {tolerance:.1%} nor beyond it",
            )
        if by != (asked or "wall"):
            return (
                verdict,
                f"by CPU time: wall time resolves no less than {math.expm1(half_width(self.logs('wall'))):.1%}",
            )
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
