"""The errors a person can act on: one line that says what is wrong, one that says what to do.

Exit codes are the command line's (docs/architecture.md): 1 a check failed, 2 wrong usage, 3 unreadable input,
4 the run failed, 5 inconclusive.
"""

from __future__ import annotations

__all__ = ["CheckFailed", "InputError", "RunFailed", "TfoptError", "UsageError"]


class TfoptError(Exception):
    """An error with a message, a hint that mends it, and the exit code of the command that meets it."""

    exit_code = 4

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class CheckFailed(TfoptError):
    """Something was measured and did not pass (exit code 1)."""

    exit_code = 1


class UsageError(TfoptError):
    """Options or configuration that do not fit together (exit code 2)."""

    exit_code = 2


class InputError(TfoptError):
    """A model, data set, trace or run folder that cannot be used (exit code 3)."""

    exit_code = 3


class RunFailed(TfoptError):
    """The program was asked for something sound and the run failed (exit code 4)."""

    exit_code = 4
