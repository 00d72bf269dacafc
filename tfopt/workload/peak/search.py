"""The largest batch that fits: the estimate proposes one, running it decides, and what that took corrects the estimate.

Pure: `estimate` and `run` are functions of a batch size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

__all__ = ["Found", "Trial", "attempt", "largest", "search"]

_RUNS = 6
_MOST = 10**9
# A batch that is larger by less is not worth another run: what a step takes differs by more from run to run.
_CLOSE = 1.02
_LEAP = 1.05


@dataclass(frozen=True)
class Trial:
    """A batch that was run, and the bytes that it took; None where the process was killed for memory."""

    batch: int
    bytes: int | None


@dataclass(frozen=True)
class Found:
    """The largest batch that ran within the limit, and the smallest that is known not to: run, else estimated.

    `fits` is None where none did; `machine` tells that a larger one was not run because this machine is too small.
    """

    fits: Trial | None
    over: Trial | None
    over_ran: bool
    machine: bool = False


def largest(size: Callable[[int], float], limit: float, start: int, most: int = _MOST) -> int:
    """The largest batch up to `most` whose `size` is within `limit`; 0 where that of 1 is not.

    Sizes grow about linearly, so that few of them are asked for: the next batch to look at is where a line through
    the first and the latest meets the limit; where that is known already, one step further, each twice the one before.
    """
    if most < 1 or (first := size(1)) > limit:
        return 0
    low, high, at, step = 1, most + 1, start, 1
    while high - low > 1:
        if not low < at < high:
            at, step = max(min(low + step if at <= low else high - step, high - 1), low + 1), 2 * step
        here = size(at)
        if here > limit:
            high = at
        else:
            low = at
        at = 1 + int((limit - first) * (at - 1) / (here - first)) if here > first else 2 * at
    return low


def attempt(
    batch: int, estimate: Callable[[int], int], run: Callable[[int], int | None], limit: int, machine: int
) -> Found:
    """Run the only batch that there is, unless it is estimated to take more than `machine`."""
    if estimate(batch) > machine:
        return Found(None, None, False, machine=True)
    taken = run(batch)
    trial = Trial(batch, taken)
    return Found(trial, None, False) if taken is not None and taken <= limit else Found(None, trial, True)


def search(
    estimate: Callable[[int], int],
    run: Callable[[int], int | None],
    limit: int,
    machine: int,
    start: int,
    ratio: float = 1.0,
    most: int = _MOST,
) -> Found:
    """Find the largest batch within `limit` bytes without running one that is estimated to take more than `machine`.

    `estimate` gives bytes, `run` what a batch really took, or None where it was killed; `ratio` is what the first is to
    be multiplied by until one ran. `most` is the largest batch that there is.
    """
    estimate = cache(estimate)
    fits: Trial | None = None
    over: Trial | None = None

    def within(bound: float) -> int:
        top = most if over is None else over.batch - 1
        return largest(lambda batch: ratio * estimate(batch), bound, min(start, top), top)

    def leaps(fitting: Trial, larger: Trial) -> bool:
        """Whether memory grew by more than the estimate did, which then cannot tell where."""
        if larger.bytes is None:
            return True
        smaller = (fitting.bytes or 0) / estimate(fitting.batch)
        return larger.bytes / estimate(larger.batch) > _LEAP * smaller

    for _ in range(_RUNS):
        missed = over is not None and fits is None  # by little more than steps differ: the next is to stay below
        wanted = max(within(limit / _CLOSE if missed else limit), 1)
        if fits and over and leaps(fits, over):
            wanted = (fits.batch + over.batch) // 2
        if (fits and wanted <= fits.batch * _CLOSE) or (over and wanted >= over.batch):
            break
        if (allowed := within(machine)) < wanted:
            if allowed <= (fits.batch if fits else 0):
                return Found(fits, None, False, machine=True)
            wanted = allowed
        taken = run(wanted)
        ratio = taken / estimate(wanted) if taken is not None else 2 * ratio
        if taken is not None and taken <= limit:
            fits = Trial(wanted, taken)
        else:
            over = Trial(wanted, taken)
    if over is not None or fits is None or fits.batch == most:
        return Found(fits, over, over is not None)
    beyond = max(within(limit), fits.batch) + 1
    return Found(fits, Trial(beyond, round(ratio * estimate(beyond))), False)
