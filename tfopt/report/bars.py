"""Bars of eighth blocks: as long as their number, to be compared by eye."""

from __future__ import annotations

import math

__all__ = ["bar"]

_EIGHTHS = " ▏▎▍▌▋▊▉█"


def bar(fraction: float, width: int) -> str:
    """A bar of `fraction` (0 to 1) of `width` cells; anything above nothing shows at least a hairline."""
    if not math.isfinite(fraction) or fraction <= 0 or width <= 0:
        return ""
    eighths = max(1, round(min(fraction, 1.0) * width * 8))
    full, rest = divmod(eighths, 8)
    return "█" * full + (_EIGHTHS[rest] if rest else "")
