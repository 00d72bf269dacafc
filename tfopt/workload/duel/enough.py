"""How much one process measures of an arm: calls per block, and pairs of blocks."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tfopt.records.duel import CLOCKS, Clock
from tfopt.workload.duel.messages import Pair, Task
from tfopt.workload.duel.statistics import median_error

__all__ = ["calls_per_block", "enough", "gross", "log_ratio"]

# A block has five calls, fewer where they would take longer than two seconds.
_CALLS, _BLOCK_S = 5, 2.0
# An arm this many times slower or faster than the baseline needs few pairs.
_GROSS, _GROSS_PAIRS = 2.0, 2
_FEWEST_PAIRS, _MOST_PAIRS = 2, 200


def calls_per_block(step_s: float) -> int:
    """For the slower side's step; both sides have as many, since the least of more calls is less."""
    return max(1, min(_CALLS, int(_BLOCK_S / step_s)))


def log_ratio(pair: Pair, clock: Clock) -> float:
    """log(arm / baseline) of a pair."""
    side = CLOCKS.index(clock)
    return math.log(pair.arm[side] / pair.baseline[side])


def enough(pairs: Sequence[Pair], task: Task, seconds: float, clocks: Sequence[Clock] = CLOCKS) -> bool:
    """Whether the pairs that ran, in `seconds`, are as many as the process is to run; `clocks` see what they cost."""
    clear = gross(pairs, clocks)
    if seconds >= task.pair_seconds and len(pairs) >= (1 if clear else _FEWEST_PAIRS):
        return True
    if clear:
        return len(pairs) >= _GROSS_PAIRS
    if len(pairs) < task.pairs:
        return False
    return len(pairs) >= _MOST_PAIRS or median_error([log_ratio(pair, task.clock) for pair in pairs]) <= task.precision


def gross(pairs: Sequence[Pair], clocks: Sequence[Clock] = CLOCKS) -> bool:
    """Whether every pair is far apart, on each of the clocks and in the same direction: what disturbs one block
    lengthens its wall time, hardly its CPU time. Where another device takes part, wall time is all there is."""
    logs = [log_ratio(pair, clock) for pair in pairs for clock in clocks]
    return bool(logs) and (min(logs) > math.log(_GROSS) or max(logs) < -math.log(_GROSS))
