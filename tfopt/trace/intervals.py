"""Arithmetic with intervals of time."""

from __future__ import annotations

import numpy as np

from tfopt.trace.xspace import Ints

__all__ = ["coverage"]


def coverage(edges: Ints, start: Ints, end: Ints) -> Ints:
    """How many of the intervals cover each gap between neighbouring `edges` (sorted; every start and end is one)."""
    change = np.zeros(len(edges), dtype=np.int64)
    np.add.at(change, np.searchsorted(edges, start), 1)
    np.add.at(change, np.searchsorted(edges, end), -1)
    return np.cumsum(change)[:-1]
