"""Rank correlation, with numpy alone."""

from __future__ import annotations

import numpy as np

__all__ = ["spearman"]


def spearman(first: np.ndarray, second: np.ndarray) -> float:
    """Spearman's ρ, the correlation of ranks; equal values share the mean of theirs. 0 where one side never differs:
    it ranks nothing."""
    ranks = [_ranks(np.asarray(each, "float64")) for each in (first, second)]
    centred = [each - each.mean() for each in ranks]
    size = float(np.sqrt((centred[0] ** 2).sum() * (centred[1] ** 2).sum()))
    return float((centred[0] * centred[1]).sum() / size) if size else 0.0


def _ranks(values: np.ndarray) -> np.ndarray:
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[which]
