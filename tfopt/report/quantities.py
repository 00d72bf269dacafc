"""The numbers of a check's gates as people read them, each with its unit."""

from __future__ import annotations

import math

from tfopt.records.check import Gate
from tfopt.report import units

__all__ = ["measured", "quantity"]

_CLOCKS = {"cpu_time": " CPU", "wall_time": " wall"}


def measured(gate: Gate) -> str:
    """The value of a gate, of a time with the clock that took it."""
    return quantity(gate.value, gate.unit) + _CLOCKS.get(gate.fact, "") * (gate.value is not None)


def quantity(value: float | None, unit: str) -> str:
    """A value of a gate with its unit; counts are exact to the last digit, since budgets are."""
    if value is None:
        return ""
    if not math.isfinite(value):
        return "?"
    if unit == "share":
        return f"{'−' * (value < 0)}{100 * abs(value):{'.4g' if abs(value) >= 1e-4 else '.2g'}} %"
    if unit == "ratio":
        return f"{value:.3f} ×"
    if unit == "bytes":
        return units.size(int(value))
    if unit == "s":
        return units.seconds(value)
    if unit == "FLOPs":
        return f"{units.count(value)} FLOPs"
    if abs(value) < 1:  # a cosine that is not 1 is not shown as 1
        return f"{math.trunc(value * 1e6) / 1e6:g}" if abs(value) > 0.999 else units.scientific(value)
    return f"{value:,.1f}".removesuffix(".0")
