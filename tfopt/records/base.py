"""What all records share: frozen, keyword-only, checked on reading, encodable as JSON."""

from __future__ import annotations

import math

import msgspec

__all__ = ["Note", "Record", "finite"]


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """Base of every record: plain data, no TensorFlow, no files, no terminal."""


class Note(Record, frozen=True, kw_only=True):
    """Something the reader of a record should know: `message`, and what to do about it (`hint`, may be empty)."""

    message: str
    hint: str = ""


def finite(value: float) -> float | None:
    """`value` as a plain float, or None where it is NaN or infinite (JSON has no such numbers)."""
    number = float(value)
    return number if math.isfinite(number) else None
