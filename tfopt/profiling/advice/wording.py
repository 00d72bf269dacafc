"""How advice counts things and names layers."""

from __future__ import annotations

from collections.abc import Sequence

from tfopt import wording

__all__ = ["counted", "listed"]


def counted(number: int, noun: str, plural: str = "") -> str:
    """`1 cast`, `25 casts`, `1,500 ops`."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def listed(layers: Sequence[str]) -> str:
    """The first few layers without the model's own name, and how many more."""
    return wording.listed([layer.partition("/")[2] or layer for layer in layers])
