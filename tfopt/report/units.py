"""Numbers as people read them: three significant digits, a unit, and columns that line up at the decimal point."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

__all__ = [
    "added",
    "align",
    "bytes_of",
    "cosine",
    "count",
    "duration",
    "interval",
    "ms",
    "number",
    "percent",
    "rate",
    "scientific",
    "seconds",
    "size",
    "times",
]

_NOTHING = "–"
_UNKNOWN = "?"


def _three_digits(value: float) -> str:
    """`value` with three significant digits, but never more than three decimals."""
    for limit, decimals in ((0.9995, 3), (9.995, 2), (99.95, 1)):
        if abs(value) < limit:
            return f"{value:.{decimals}f}"
    return f"{value:.0f}"


def ms(value: float) -> str:
    """Milliseconds without their unit, as a `number`."""
    return number(value)


def number(value: float) -> str:
    """A positive number without its unit: `143`, `44.2`, `5.27`, `0.413`, `–` for nothing."""
    if not math.isfinite(value):
        return _UNKNOWN
    if value == 0:
        return _NOTHING
    return "<0.001" if 0 < value < 0.0005 else _three_digits(value)


def duration(value_ms: float) -> str:
    """A time with its unit, from milliseconds: `143 ms`, `12.3 s`."""
    return f"{ms(value_ms)} ms" if value_ms < 10_000 or math.isinf(value_ms) else seconds(value_ms / 1000)


def rate(gflops_per_s: float) -> str:
    """A rate of floating-point operations with its unit: `87.3 GFLOP/s`."""
    return f"{number(gflops_per_s)} GFLOP/s"


def interval(low_ms: float, high_ms: float) -> str:
    """From one time to another, the unit said once where it is the same: `141 to 145 ms`."""
    low, high = duration(low_ms), duration(high_ms)
    unit = high[high.rfind(" ") :]
    return f"{low.removesuffix(unit)} to {high}"


def seconds(value: float) -> str:
    """Seconds with their unit: `6.10 s`, `143 s`."""
    return f"{_three_digits(value)} s" if math.isfinite(value) else f"{_UNKNOWN} s"


def percent(share: float) -> str:
    """A share of 1 as a percentage with one decimal: `58.3 %`, `<0.1 %`, `–` for nothing."""
    if not math.isfinite(share):
        return _UNKNOWN
    if share == 0:
        return _NOTHING
    return "<0.1 %" if 0 < share < 0.0005 else f"{share * 100:.1f} %"


def added(fraction: float) -> str:
    """What came on top of a time, as a fraction of it: `+3.1 %`; from twice the time on what it became: `11.6 ×`."""
    return f"{fraction * 100:+.1f} %" if fraction < 1 else f"{_three_digits(1 + fraction)} ×"


def _scaled(value: float, units: Sequence[str]) -> tuple[float, str]:
    for unit in units[:-1]:
        if abs(value) < 999.5:
            return value, unit
        value /= 1000
    return value, units[-1]


def count(value: float) -> str:
    """A count: `999`, `1.23 k`, `2.27 M`."""
    if not math.isfinite(value):
        return _UNKNOWN
    scaled, unit = _scaled(value, ("", "k", "M", "G", "T"))
    digits = f"{scaled:.0f}" if not unit and value == int(value) else _three_digits(scaled)
    return f"{digits} {unit}".rstrip()


def size(value: int) -> str:
    """A file size in decimal units: `512 B`, `9.20 MB`."""
    scaled, unit = _scaled(value, ("B", "kB", "MB", "GB", "TB"))
    return f"{scaled:.0f} B" if unit == "B" else f"{_three_digits(scaled)} {unit}"


_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([kMGT]?)(i?)B")


def bytes_of(text: str) -> int:
    """The number of bytes that a size such as `800MB`, `1.5 GB` or `8GiB` names. ValueError for anything else."""
    match = _SIZE.fullmatch(text.strip().replace("K", "k", 1))
    if match is None or (match[3] and not match[2]) or not (size := _exactly(match)):
        raise ValueError(f"{text!r} is not a size")
    return size


def _exactly(match: re.Match[str]) -> int:
    return int(float(match[1]) * (1024 if match[3] else 1000) ** " kMGT".index(match[2] or " "))


def times(per_step: float) -> str:
    """How often something ran per step, or how many there are: `1`, `53`, `4,608`, `0.4`."""
    rounded = round(per_step)
    return f"{rounded:,}" if abs(per_step - rounded) < 0.05 else f"{per_step:.1f}"


def scientific(value: float) -> str:
    """A number of any size with three significant digits: `0.974`, `1.20e-06`, `0` for nothing."""
    if not math.isfinite(value):
        return _UNKNOWN
    if value == 0:
        return "0"
    return f"{value:.3g}" if 1e-3 <= abs(value) < 1e4 else f"{value:.2e}"


def cosine(value: float) -> str:
    """A cosine, cut off and not rounded: `1` only where it is 1, `0.999999` for whatever is closer than that."""
    if not math.isfinite(value):
        return _UNKNOWN
    return "1" if value == 1 else f"{math.trunc(value * 1e6) / 1e6:.6f}"


def align(cells: Sequence[str]) -> list[str]:
    """`cells` padded on the right so that, flush right, their decimal points stand below one another."""
    decimals = [len(cell.partition(".")[2]) + 1 if "." in cell else 0 for cell in cells]
    widest = max(decimals, default=0)
    return [cell + " " * (widest - own) for cell, own in zip(cells, decimals, strict=True)]
