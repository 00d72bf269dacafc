"""The value of a page's cell as people read it."""

from __future__ import annotations

from collections.abc import Callable

from tfopt.report import units
from tfopt.report.page import Kind, Value

__all__ = ["NUMBERS", "shown"]


def _signed(text: Callable[[float], str]) -> Callable[[float], str]:
    return lambda value: f"{'−' if value < 0 else '+' if value > 0 else ''}{text(abs(value))}"


_NUMBERS: dict[Kind, Callable[[float], str]] = {
    "count": units.times,
    "rank": units.times,
    "ms": units.ms,
    "change_ms": _signed(units.ms),
    "share": units.percent,
    "change_share": _signed(units.percent),
    "ratio": lambda value: f"{value:.2f} ×",
    "flops": lambda value: units.count(value) if value else "–",
    "bytes": lambda value: units.size(int(value)) if value else "–",
    "per_byte": units.ms,
    "seconds": units.ms,
    "change_s": _signed(units.ms),
    "scientific": units.scientific,
    "change": _signed(units.scientific),
    "cosine": units.cosine,
}
NUMBERS = frozenset(_NUMBERS)


def shown(value: Value, kind: Kind) -> str:
    """`value` with three significant digits or as a percentage; '' for what is not there. Names are not escaped yet."""
    if value is None:
        return "–" if kind == "rank" else ""
    return value if isinstance(value, str) else _NUMBERS[kind](value) if kind in NUMBERS else str(value)
