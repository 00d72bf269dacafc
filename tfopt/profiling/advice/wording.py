"""How advice names layers."""

from __future__ import annotations

from collections.abc import Sequence

from tfopt import wording

__all__ = ["listed"]


def listed(layers: Sequence[str]) -> str:
    """The first few layers without the model's own name, and how many more."""
    return wording.listed([layer.partition("/")[2] or layer for layer in layers])
