"""What may go wrong without failing a profile: it is told in a note."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from tfopt.records.base import Note
from tfopt.workload.failures import first_line

__all__ = ["told"]


@contextlib.contextmanager
def told(what: str, notes: list[Note]) -> Iterator[None]:
    """Turn whatever goes wrong into a note: the times are measured, and good without it."""
    try:
        yield
    except Exception as error:
        notes.append(Note(message=f"{what}: {first_line(error)}"))
