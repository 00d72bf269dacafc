"""Is the candidate slower than the baseline? The gates on the two clocks of a duel; never on stored milliseconds.

On the CPU the CPU time of the process gates: other work on the machine hardly disturbs it. It does not see lost
parallelism or waiting, so wall time is a gate of its own, at a wider tolerance; elsewhere wall time is all there is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from tfopt.records.check import Gate, GateVerdict
from tfopt.records.check_settings import TimingSettings
from tfopt.records.duel import Clock, DuelResult, Interval
from tfopt.report import units
from tfopt.workload.duel.statistics import bounds, judge, resolvable

__all__ = ["noise_floor", "self_test_gate", "timing_gates", "verdict"]

_NAMES: dict[Clock, str] = {"cpu": "CPU", "wall": "wall"}
_WHY: dict[GateVerdict, str] = {
    "FAIL": ", more than the {} allowed",
    "PASS": ", within the {} allowed",
    "INCONCLUSIVE": ", which cannot tell whether it is within the {} allowed",
    "IMPROVED": "",
}
_JUDGED: dict[str, GateVerdict] = {"SLOWER": "FAIL", "FASTER": "IMPROVED", "SAME": "PASS"}


def verdict(logs: Sequence[float], tolerance: float, floor: float = 0.0) -> GateVerdict:
    """FAIL, IMPROVED, PASS or INCONCLUSIVE for log(candidate / baseline) of each process.

    FAIL iff the 95 % interval excludes no change and the mean exceeds the tolerance, and `floor`, which a program
    compared with itself reaches (both of them fractions of 1); PASS iff all of the interval is below the tolerance.
    """
    mean, _, high = bounds(logs)
    judged = _JUDGED.get(judge(logs, tolerance), "INCONCLUSIVE")
    if judged == "FAIL":
        return "FAIL" if mean > math.log1p(floor) else "INCONCLUSIVE"
    return "PASS" if judged == "INCONCLUSIVE" and high <= math.log1p(tolerance) else judged


def noise_floor(self_test: DuelResult, clock: Clock) -> float | None:
    """How far the interval of a program against itself reaches on `clock`, a fraction; None where it has no interval"""
    found = _interval(self_test, clock)
    if found is None or found.processes < 2:
        return None
    return math.expm1(max(map(abs, bounds(found.log_ratios)[1:])))


def timing_gates(
    result: DuelResult, settings: TimingSettings, *, clocks: Sequence[Clock], self_test: DuelResult | None = None
) -> tuple[Gate, ...]:
    """A gate per clock of `clocks`, the first of which has the narrow tolerance."""
    names = ("tolerance", "wall_tolerance")
    return tuple(
        _gate(name, result, clock, getattr(settings, name), self_test)
        for name, clock in zip(names, clocks, strict=False)
    )


def self_test_gate(self_test: DuelResult, settings: TimingSettings) -> Gate:
    """Whether this machine can tell a change of the tolerance: the candidate against itself."""
    floor = noise_floor(self_test, self_test.clock)
    enough = floor is not None and floor <= settings.tolerance
    reaches = self_test.reason if floor is None else _against_itself(floor)
    return Gate(
        kind="timing",
        name="self_test",
        fact="noise_floor",
        verdict="PASS" if enough else "ERROR" if floor is None else "INCONCLUSIVE",
        value=floor,
        limit=settings.tolerance,
        unit="share",
        message=reaches + _resolution(self_test, self_test.clock, settings.tolerance),
    )


def _gate(name: str, result: DuelResult, clock: Clock, tolerance: float, self_test: DuelResult | None) -> Gate:
    found = _interval(result, clock)
    judged: GateVerdict = "ERROR"
    message, measured = result.reason, found is not None and result.verdict not in ("CRASHED", "HUNG", "REFUSED")
    if found is not None and measured:
        floor = noise_floor(self_test, clock) if self_test is not None else 0.0
        judged = "INCONCLUSIVE" if floor is None else verdict(found.log_ratios, tolerance, floor)
        message = _said(found, judged, clock, tolerance, floor) + _resolution(result, clock, tolerance)
    return Gate(
        kind="timing",
        name=name,
        fact=f"{clock}_time",
        verdict=judged,
        value=found.ratio if found is not None and measured else None,
        limit=1 + tolerance,
        reference=1.0,
        unit="ratio",
        message=message,
    )


def _interval(result: DuelResult, clock: Clock) -> Interval | None:
    return result.cpu if clock == "cpu" else result.wall


def _said(found: Interval, judged: GateVerdict, clock: Clock, tolerance: float, floor: float | None) -> str:
    words = f"{_NAMES[clock]} time {_signed(found.ratio)}"
    if found.low is not None and found.high is not None:
        words += f" [{_signed(found.low)}, {_signed(found.high)}]"
    words += _WHY[judged].format(units.percent(tolerance))
    return f"{words}; {_against_itself(floor)}" if floor else words


def _against_itself(floor: float) -> str:
    return f"against itself it seems up to {units.percent(floor)} apart"


def _signed(ratio: float) -> str:
    return f"{100 * (ratio - 1):+.1f} %"


def _resolution(result: DuelResult, clock: Clock, tolerance: float) -> str:
    """The smallest change that a duel like this one finds 19 times out of 20."""
    found = _interval(result, clock)
    if found is None or found.processes < 2:
        return ""
    return f"; this machine tells a change of {units.percent(math.expm1(resolvable(found.log_ratios, tolerance)))}"
