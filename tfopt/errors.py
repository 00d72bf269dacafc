"""The errors a person can act on: one line that says what is wrong, one that says what to do.

Each kind has the exit code of the command that meets it: 2 wrong usage, 3 unreadable input, 4 the run failed.
"""

from __future__ import annotations

__all__ = ["InputError", "RunFailed", "TfoptError", "UsageError"]


class TfoptError(Exception):
    """An error with a message, a hint that mends it, and the exit code of the command that meets it."""

    exit_code = 4

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class UsageError(TfoptError):
    """Options or configuration that do not fit together (exit code 2)."""

    exit_code = 2


class InputError(TfoptError):
    """A model, data set, trace or run folder that cannot be used (exit code 3)."""

    exit_code = 3


class RunFailed(TfoptError):
    """The program was asked for something sound and the run failed (exit code 4)."""

    exit_code = 4
