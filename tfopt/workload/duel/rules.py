"""The rules of a duel, checked."""

from __future__ import annotations

from dataclasses import dataclass

from tfopt.errors import UsageError
from tfopt.records.duel import CLOCKS, Clock

__all__ = ["Rules"]


@dataclass(frozen=True)
class Rules:
    """What decides a duel; `duel` explains each. Raises UsageError for numbers that make no sense."""

    tolerance: float
    clock: Clock | None
    max_seconds: float
    min_processes: int
    max_processes: int
    seed: int
    one_sided: bool = False

    def __post_init__(self) -> None:
        for sound, message, hint in (
            (0 < self.tolerance < 1, f"the tolerance cannot be {self.tolerance}", "give a fraction, as 0.05 for 5 %"),
            (self.clock in (None, *CLOCKS), f"there is no clock {self.clock!r}", f"choose {' or '.join(CLOCKS)}"),
            (self.max_seconds > 0, f"a duel cannot take {self.max_seconds} s", "give it some minutes"),
            (
                2 <= self.min_processes <= self.max_processes,
                f"{self.min_processes} to {self.max_processes} processes are no range",
                "an interval takes at least two, and the first number is the lower",
            ),
        ):
            if not sound:
                raise UsageError(message, hint)
