"""The duel's decisions, from one number per process: the median over its pairs of log(arm / baseline).

The process is the unit: what differs between processes (memory layout, placement of threads) does not average out
within one. The interval is Student's t over processes. A change counts where the interval excludes none *and* the
estimate exceeds the tolerance, since an interval alone calls a real difference of 1 % between identical programs.
The tolerance is taken on the log scale (5 %: a ratio above 1.05 or below 1/1.05), so that exchanging the two sides
turns SLOWER into FASTER and nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, median

from tfopt.records.duel import Clock, Verdict

__all__ = [
    "GROSS_PROCESSES",
    "bounds",
    "decided",
    "half_width",
    "judge",
    "median_error",
    "resolvable",
    "settled",
    "t_quantile",
    "telling_clock",
]

# Student's t, 97.5 %, for 1 to 30 degrees of freedom (NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.6.7.2).
_T = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
    2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
    2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip
# Measuring ends when the interval's half-width is this part of the tolerance.
_NARROW = 0.8
# A change beyond the tolerance, of which the interval is not, is believed from so many processes on.
_CONFIRMED = 8
# An arm whose every process was stopped early, being several times slower or faster, needs no more than these.
GROSS_PROCESSES = 3


def t_quantile(freedom: int) -> float:
    """The 97.5 % quantile of Student's t; above 30 degrees of freedom that for 30, which is the wider."""
    return _T[min(freedom, len(_T)) - 1]


def half_width(logs: Sequence[float]) -> float:
    """Half the width of the 95 % interval of the mean of `logs`; infinite for fewer than two."""
    count = len(logs)
    if count < 2:
        return math.inf
    mean = fmean(logs)
    variance = math.fsum((log - mean) ** 2 for log in logs) / (count - 1)
    return t_quantile(count - 1) * math.sqrt(variance / count)


def median_error(values: Sequence[float]) -> float:
    """The standard error of the median of normal values, told from their median absolute deviation: spikes, which
    hardly move the median, hardly count."""
    middle = median(values)
    spread = 1.4826 * median(abs(value - middle) for value in values)
    return math.sqrt(math.pi / 2) * spread / math.sqrt(len(values))


def bounds(logs: Sequence[float]) -> tuple[float, float, float]:
    """(mean, low, high) of log-ratios."""
    mean, half = fmean(logs), half_width(logs)
    return mean, mean - half, mean + half


def judge(logs: Sequence[float], tolerance: float) -> Verdict:
    """SLOWER, FASTER, SAME or INCONCLUSIVE, for log-ratios of one or more processes."""
    mean, low, high = bounds(logs)
    limit = math.log1p(tolerance)
    if low > 0 and mean > limit:
        return "SLOWER"
    if high < 0 and mean < -limit:
        return "FASTER"
    return "SAME" if -limit <= low and high <= limit else "INCONCLUSIVE"


def resolvable(logs: Sequence[float], tolerance: float) -> float:
    """The smallest change, as a log-ratio, that duels with an interval as wide as this one find 19 times out of 20.

    A change counts where the mean exceeds half-width and tolerance, and the mean lies less than a half-width below the
    true change but once in 40 times. A change of the half-width itself would be missed every other time.
    """
    half = half_width(logs)
    return max(half, math.log1p(tolerance)) + half


def decided(
    logs: Sequence[float],
    tolerance: float,
    min_processes: int,
    max_processes: int,
    *,
    gross: bool = False,
    one_sided: bool = False,
) -> bool:
    """Whether there is nothing more to measure: `settled`, or as many processes as may be."""
    return len(logs) >= max_processes or settled(logs, tolerance, min_processes, gross=gross, one_sided=one_sided)


def settled(
    logs: Sequence[float], tolerance: float, min_processes: int, *, gross: bool = False, one_sided: bool = False
) -> bool:
    """Whether more processes would tell nothing new.

    They would not where the interval is narrow against the tolerance, or where all of it lies on one side of the
    tolerance; `gross` arms, which are far on one side, are asked for no more than three processes. A change near the
    tolerance takes eight: of few processes the interval is narrow by luck more often than its 95 % say.
    `one_sided`: whether an arm is slower is all that is asked, so that one surely not slower is settled, however much
    faster it may be, and a narrow interval that still straddles the tolerance is not.
    """
    if len(logs) < (min(min_processes, GROSS_PROCESSES) if gross else min_processes):
        return False
    mean, low, high = bounds(logs)
    limit = math.log1p(tolerance)
    clear = low > limit or high < (limit if one_sided else -limit)
    sure = len(logs) >= _CONFIRMED if abs(mean) > limit else not one_sided
    return clear or (not gross and sure and high - low <= 2 * _NARROW * limit)


def telling_clock(wall: Sequence[float], cpu: Sequence[float], tolerance: float) -> Clock:
    """Wall time; CPU time where the interval of wall time is too wide to tell a change of `tolerance`, and that of CPU
    time is not. The widths choose, and say nothing of the direction, so that this adds no second chance of an alarm.
    """
    limit = math.log1p(tolerance)
    unclear = half_width(wall) > limit and judge(wall, tolerance) == "INCONCLUSIVE"
    return "cpu" if unclear and half_width(cpu) <= limit else "wall"
