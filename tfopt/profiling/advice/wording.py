"""How advice counts things and names layers."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["counted", "listed", "percent"]

_SHOWN = 3


def counted(number: int, noun: str) -> str:
    """`1 cast`, `25 casts`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def listed(layers: Sequence[str]) -> str:
    """The first few layers without the model's own name, and how many more."""
    names = [layer.partition("/")[2] or layer for layer in layers]
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def percent(share: float) -> str:
    """A share of the step: `12 %`."""
    return f"{share:.0%}".replace("%", " %")
