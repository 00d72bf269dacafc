"""What a duel found: how much slower or faster one program is than another on this machine."""

from __future__ import annotations

from typing import Literal

from tfopt.records.base import Record

__all__ = ["CLOCKS", "ArmTiming", "Clock", "DuelResult", "Ending", "Interval", "Verdict"]

Clock = Literal["wall", "cpu"]
CLOCKS: tuple[Clock, Clock] = ("wall", "cpu")
Verdict = Literal["SLOWER", "FASTER", "SAME", "INCONCLUSIVE", "CRASHED", "HUNG", "REFUSED", "NOT RUN"]
Ending = Literal["decided", "processes", "time", "interrupted", "failed"]


class Interval(Record, frozen=True, kw_only=True):
    """A ratio of times (contender / baseline; 1.0 is equal) with its 95 % interval over processes: Student's t on one
    median log-ratio per process. `low` and `high` are null with fewer than two processes."""

    ratio: float
    low: float | None
    high: float | None
    processes: int
    pairs: int
    log_ratios: tuple[float, ...] = ()


class ArmTiming(Record, frozen=True, kw_only=True):
    """One arm by itself: the median over its blocks (each the minimum of its calls), in ms per step, and what starting
    it took, the median over processes: `prepare_s` loading and building, `compile_s` its first step. `device` is that
    on which it ran."""

    label: str
    wall_ms: float | None
    cpu_ms: float | None
    prepare_s: float | None
    compile_s: float | None
    examples_per_step: float
    blocks: int
    device: str | None = None


class DuelResult(Record, frozen=True, kw_only=True):
    """One arm against the baseline. `verdict` is by `clock`; `wall` and `cpu` are both ratios (null where nothing was
    measured). `early` where the arm was stopped early because its first blocks were more than 2 times apart.
    `resolvable` is the smallest change that a duel like this one finds 19 times out of 20, a fraction (0.08: 8 %).
    `ended` is why there were no more processes: more would tell nothing new, as many as allowed had run, the time was
    over, Ctrl-C came, or the arm (or the baseline) failed. `reason` says in words why an arm has no ratio, or why a
    verdict is what it is."""

    label: str
    baseline: str
    verdict: Verdict
    clock: Clock
    tolerance: float
    wall: Interval | None
    cpu: Interval | None
    resolvable: float | None
    early: bool = False
    ended: Ending | None = None
    reason: str = ""
