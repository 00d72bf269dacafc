"""Who is ahead of whom, and when a slower start is earned back. Pure functions of what a duel found."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tfopt.records.comparison import BreakEven
from tfopt.records.duel import ArmTiming, DuelResult, Interval

__all__ = ["Span", "break_even", "clocks_disagree", "rank", "span_of"]

# An arm that was stopped early is more than twice as slow or fast; its ratio is taken to be known within this factor.
_EARLY = 1.25


@dataclass(frozen=True)
class Span:
    """A ratio to the baseline, and between which values it surely lies."""

    ratio: float
    low: float
    high: float


BASELINE = Span(1.0, 1.0, 1.0)


def span_of(interval: Interval | None, early: bool) -> Span | None:
    """Where a ratio lies; None where it is not known within any bounds."""
    if interval is None:
        return None
    if interval.low is not None and interval.high is not None:
        return Span(interval.ratio, interval.low, interval.high)
    return Span(interval.ratio, interval.ratio / _EARLY, interval.ratio * _EARLY) if early else None


def rank(spans: Sequence[Span | None], tolerance: float) -> tuple[int | None, ...]:
    """The place of each ratio: 1 + how many are surely ahead of it, as in sports where several share a place.

    One is ahead of another where their intervals do not overlap and the estimates differ by more than the tolerance.
    """

    def ahead(one: Span, other: Span) -> bool:
        return one.high < other.low and one.ratio * (1 + tolerance) < other.ratio

    known = [span for span in spans if span is not None]
    return tuple(None if own is None else 1 + sum(ahead(other, own) for other in known) for own in spans)


def break_even(baseline: ArmTiming, arm: ArmTiming, span: Span | None) -> BreakEven:
    """When the arm's start and steps together take less time than the baseline's for as many examples.

    Extra seconds of the start (preparing and first step) over seconds saved per step of the arm; by wall time.
    """
    starts = (baseline.prepare_s, baseline.compile_s, arm.prepare_s, arm.compile_s)
    if span is None or baseline.wall_ms is None or any(part is None for part in starts):
        return BreakEven(kind="unknown")
    extra = math.fsum(part or 0.0 for part in starts[2:]) - math.fsum(part or 0.0 for part in starts[:2])
    per_step = baseline.wall_ms / baseline.examples_per_step * arm.examples_per_step / 1000
    saved = per_step * (1 - span.ratio)
    if span.low <= 1 <= span.high or not saved:
        return BreakEven(kind="unknown", extra_s=extra)
    if extra * saved <= 0:
        return BreakEven(kind="always" if saved > 0 else "never", extra_s=extra)
    steps = round(extra / saved, 6)  # what is a whole number but for rounding stays one
    if saved > 0:
        return BreakEven(kind="from", steps=math.ceil(steps), extra_s=extra)
    return BreakEven(kind="until", steps=math.floor(steps), extra_s=extra)


def clocks_disagree(result: DuelResult) -> bool:
    """Whether one clock surely says slower and the other surely faster."""
    wall, cpu = span_of(result.wall, False), span_of(result.cpu, False)
    if wall is None or cpu is None:
        return False
    return (wall.high < 1 < cpu.low) or (cpu.high < 1 < wall.low)
