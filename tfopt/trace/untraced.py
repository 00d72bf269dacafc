"""From the timeline of traced steps to that of untraced ones.

The recorder makes a step longer, and not evenly: each event costs it about the same, so that a loop of tiny ops may
take twice its time while a convolution hardly changes. And a pipeline that prepares data beside a slower step is
waited for the less.
"""

from __future__ import annotations

import numpy as np

from tfopt.trace.intervals import Floats, Mask
from tfopt.trace.timeline import Timeline

__all__ = ["untraced"]

# An op is not known to take less of its recorded time than this leaves.
_MOST = 0.8
# Traced less untraced steps give 1.0 µs per op for a GRU, whose ops are the smallest, and more for others, which is the
# machine's own change of speed meanwhile: so this is the most that recording an op is taken to cost.
_DEAREST_PS = 1e6


def untraced(timeline: Timeline, waits: Mask, recording: float, waiting: float) -> Timeline:
    """The timeline without what `recording` added to it (ps), with the ops `waits` taking the fraction `waiting`.

    What recording added is taken off the ops by their number of events, but never more than recording can take, nor
    most of an op's time.
    """
    events = timeline.count * _concurrency(timeline)
    most = np.minimum(_MOST * timeline.wall, _DEAREST_PS * events)
    taken = _levelled(np.where(waits, 0.0, events), most, recording)
    left = np.divide(timeline.wall - taken, timeline.wall, out=np.ones_like(taken), where=timeline.wall > 0)
    working = timeline.scaled(left, timeline.idle)
    waited = float(working.wall[waits].sum())
    rest = working.total - waited
    if waited <= 0 or rest <= 0:
        return working
    if waiting >= 1:
        return working.scaled(np.where(waits, 1.0, 0.0), 0.0)
    return working.scaled(np.where(waits, rest * waiting / (1 - waiting) / waited, 1.0), working.idle)


def _concurrency(timeline: Timeline) -> Floats:
    """The part of its own time that each op has of the wall time: 1 where it ran alone."""
    return np.divide(timeline.wall, timeline.busy, out=np.ones_like(timeline.wall), where=timeline.busy > 0)


def _levelled(weight: Floats, most: Floats, amount: float) -> Floats:
    """`amount` split in proportion to `weight`, where nobody gives more than `most`; nothing if it is negative."""
    given = np.zeros_like(most)
    asked = (weight > 0) & (most > 0)
    while amount > 0 and asked.any():
        share = np.where(asked, amount * weight / weight[asked].sum(), 0.0)
        full = asked & (share >= most)
        if not full.any():
            return given + share
        given[full] = most[full]
        amount -= float(most[full].sum())
        asked &= ~full
    return given
