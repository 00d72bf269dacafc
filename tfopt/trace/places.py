"""A part of an op's time and the place it is charged to."""

from __future__ import annotations

from dataclasses import dataclass

from tfopt.trace.scopes import Place

__all__ = ["Charge"]


@dataclass(frozen=True)
class Charge:
    """The fraction of an op's time that belongs to `place`; the fractions of one op add up to 1."""

    place: Place
    fraction: float
