"""How messages count things and name the first few of many."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["counted", "listed"]


def counted(number: int, noun: str, plural: str = "") -> str:
    """`1 cast`, `25 casts`, `1,500 ops`, `2 matrices`."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def listed(names: Sequence[str], most: int = 3, between: str = ", ") -> str:
    """The first `most` names, and how many are left out: `a, b, c and 4 more`."""
    rest = len(names) - most
    return between.join(names[:most]) + (f" and {rest} more" if rest > 0 else "")
