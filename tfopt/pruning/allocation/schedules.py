"""How the fraction that is removed grows: after each of several steps, the last one exactly the target."""

from __future__ import annotations

from collections.abc import Callable

from tfopt.errors import UsageError

__all__ = ["SCHEDULES", "sparsities"]


def _one_shot(done: float) -> float:
    """All of it in the first step."""
    return 1.0


def _linear(done: float) -> float:
    """The same in each step."""
    return done


def _cubic(done: float) -> float:
    """Much while many are left, then less and less (Zhu & Gupta, arXiv:1710.01878, equation 1, from 0 on)."""
    return 1 - (1 - done) ** 3


SCHEDULES: dict[str, Callable[[float], float]] = {"one-shot": _one_shot, "linear": _linear, "cubic": _cubic}
"""By name: which part of the target is reached when this part of the steps (above 0, up to 1) is done."""


def sparsities(schedule: str, target: float, steps: int) -> tuple[float, ...]:
    """The fraction that is removed after each of the steps. UsageError where there is no such schedule, or no step."""
    if schedule not in SCHEDULES:
        raise UsageError(f"there is no schedule {schedule}", f"choose one of {', '.join(SCHEDULES)}")
    if steps < 1:
        raise UsageError(f"{steps} steps reach no sparsity", "give 1 step or more")
    return tuple(target * SCHEDULES[schedule](step / steps) for step in range(1, steps + 1))
