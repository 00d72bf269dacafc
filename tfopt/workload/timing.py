"""Step time from untraced steps: warm up until stable, then measure both clocks, and summarise.

Every step is synchronised by reading one number of its result. The median's interval comes from order statistics
(binomial, 95 %), which assumes nothing about the distribution.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

__all__ = ["Samples", "collector_held", "finished", "measure", "median_interval", "timed", "warm_up"]

# Warm-up ends when three blocks in a row have medians within 5 % of each other, or after two seconds.
_BLOCK, _STABLE, _TOLERANCE, _WARM_SECONDS = 5, 3, 0.05, 2.0
_MIN_STEPS, _FEW_STEPS, _MAX_STEPS, _SECONDS, _MAX_SECONDS = 20, 5, 200, 2.0, 10.0


@dataclass(frozen=True)
class Samples:
    """Per step: wall time and process CPU time in ms, and the first number of its result (the loss in training)."""

    wall_ms: tuple[float, ...]
    cpu_ms: tuple[float, ...]
    results: tuple[float, ...]


def finished(result: Any) -> float:
    """Wait until a step's result is there: its first number, NaN where it has none."""
    for tensor in keras.tree.flatten(result):
        if hasattr(tensor, "numpy"):
            values = np.asarray(tensor.numpy()).ravel()
            number = tensor.dtype.is_floating or tensor.dtype.is_integer
            return float(values[0]) if values.size and number else math.nan
    return math.nan


def timed(run: Callable[[], Any]) -> tuple[float, float, float]:
    """Run one step: its wall time and CPU time in ms, and the first number of its result."""
    cpu, wall = time.process_time_ns(), time.perf_counter_ns()
    result = finished(run())
    return (time.perf_counter_ns() - wall) / 1e6, (time.process_time_ns() - cpu) / 1e6, result


def warm_up(run: Callable[[], Any]) -> int:
    """Run steps until their time is stable. Returns how many."""
    started, steps, medians = time.perf_counter(), 0, []
    while time.perf_counter() - started < _WARM_SECONDS:
        block = []
        for _ in range(_BLOCK):
            block.append(timed(run)[0])
            steps += 1
            if time.perf_counter() - started >= _WARM_SECONDS:
                break
        medians.append(float(np.median(block)))
        recent = medians[-_STABLE:]
        if len(recent) == _STABLE and max(recent) <= min(recent) * (1 + _TOLERANCE):
            break
    return steps


def measure(run: Callable[[], Any], steps: int | None, progress: Callable[[float], None]) -> Samples:
    """Time `steps` steps; by default at least 20 and two seconds of them, at most 200 or ten seconds."""
    rows: list[tuple[float, float, float]] = []
    with collector_held():
        started = time.perf_counter()
        while not _enough(len(rows), time.perf_counter() - started, steps):
            rows.append(timed(run))
            progress(_done(len(rows), time.perf_counter() - started, steps))
    wall, cpu, results = zip(*rows, strict=True)
    return Samples(wall, cpu, results)


def _enough(count: int, seconds: float, steps: int | None) -> bool:
    if steps is not None:
        return count >= steps
    if count >= _MAX_STEPS or (seconds >= _MAX_SECONDS and count >= _FEW_STEPS):
        return True
    return count >= _MIN_STEPS and seconds >= _SECONDS


def _done(count: int, seconds: float, steps: int | None) -> float:
    if steps is not None:
        return count / steps
    return max(min(count / _MIN_STEPS, seconds / _SECONDS), min(1.0, seconds / _MAX_SECONDS), count / _MAX_STEPS)


@contextmanager
def collector_held() -> Iterator[None]:
    """No garbage collection while the block runs."""
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def median_interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float, float]:
    """(median, low, high): the median and the order statistics that enclose it with `confidence`.

    The number of values below the true median is binomial with p = 1/2. With fewer than six values no pair of them
    reaches 95 %: then low and high are the extremes.
    """
    ordered = sorted(values)
    count = len(ordered)
    below, rank = 0.0, 0
    for successes in range(count // 2):
        below += math.comb(count, successes) / 2**count
        if 2 * below > 1 - confidence:
            break
        rank = successes + 1
    low = ordered[max(rank - 1, 0)]
    high = ordered[min(count - rank, count - 1)] if rank else ordered[-1]
    return float(np.median(ordered)), low, high
