"""What every worker process can say, besides what it was asked for: one JSON object per line."""

from __future__ import annotations

import msgspec

from tfopt.errors import InputError, RunFailed, TfoptError, UsageError

__all__ = ["About", "Doing", "Refused"]

_ERRORS: dict[str, type[TfoptError]] = {error.__name__: error for error in (UsageError, InputError)}


class About(msgspec.Struct, frozen=True, tag=True):
    """A message about a contestant; an empty label: about none."""

    label: str


class Doing(About, frozen=True, tag=True):
    """`phase` begins; whoever hears nothing for `patience_s` may give it up (None: nobody knows how long it takes)."""

    phase: str
    patience_s: float | None = None


class Refused(About, frozen=True, tag=True):
    """A contestant cannot be run, for a reason in words; `kind` is the name of the TfoptError."""

    kind: str
    message: str
    hint: str

    @classmethod
    def of(cls, label: str, error: TfoptError) -> Refused:
        """What the worker says of an error."""
        return cls(label, type(error).__name__, error.message, error.hint)

    def error(self) -> TfoptError:
        """The error for the parent to raise; of a kind that it does not know, RunFailed."""
        return _ERRORS.get(self.kind, RunFailed)(self.message, self.hint)
