"""Why nothing can be said of a model, in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tfopt.errors import InputError, TfoptError
from tfopt.workload.duel import BaselineHung, TooSlow

__all__ = ["INTERRUPTED", "MORE_TIME", "Ending", "Failure"]

MORE_TIME = "give the check more: --max-time 10m"
Ending = Literal["", "unreadable", "crashed", "hung"]

# The first that fits.
_ENDINGS: tuple[tuple[type[TfoptError], Ending], ...] = (
    (InputError, "unreadable"),
    (BaselineHung, "hung"),
    (TooSlow, ""),
    (TfoptError, "crashed"),
)


@dataclass(frozen=True)
class Failure:
    """What `ModelCheck` says of it; the `ending` is empty where the model is not at fault: the time was too short."""

    ending: Ending
    message: str
    hint: str

    @property
    def exit_code(self) -> int:
        """What it ends the command with: 3 for what cannot be read, 4 for a run that failed."""
        return 3 if self.ending == "unreadable" else 4

    @classmethod
    def overdue(cls, phase: str, seconds: float, alone: str, *, working: bool) -> Failure:
        """After so many seconds it was still at it: what computes is slow, and hangs where it does nothing."""
        if working:
            return cls("", f"{phase}: still at work after {seconds:.0f} s, which may need a longer time", MORE_TIME)
        return cls("hung", f"{phase}: no end after {seconds:.0f} s", alone)

    @classmethod
    def of(cls, error: TfoptError) -> Failure:
        """What a model's own error means."""
        return cls(next(ending for kind, ending in _ENDINGS if isinstance(error, kind)), error.message, error.hint)


INTERRUPTED = Failure("", "interrupted before it was judged", "")
