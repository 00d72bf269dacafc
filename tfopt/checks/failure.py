"""Why nothing can be said of a model, in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tfopt.errors import InputError, TfoptError
from tfopt.workload.duel import BaselineHung, TooSlow

__all__ = ["Ending", "Failure"]

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
    """What `ModelCheck` says of it; the `ending` is empty where the model is not at fault: there was no time for it."""

    ending: Ending
    message: str
    hint: str

    @property
    def exit_code(self) -> int:
        """What it ends the command with: 3 for what cannot be read, 4 for a run that failed."""
        return 3 if self.ending == "unreadable" else 4

    @classmethod
    def of(cls, error: TfoptError) -> Failure:
        """What a model's own error means."""
        return cls(next(ending for kind, ending in _ENDINGS if isinstance(error, kind)), error.message, error.hint)
