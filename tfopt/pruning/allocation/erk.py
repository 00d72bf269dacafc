"""How dense each layer is under Erdős–Rényi-Kernel (Evci et al., arXiv:1911.11134, section 3)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tfopt.pruning.prunable import Prunable

__all__ = ["erk_counts", "erk_densities"]


def erk_densities(weights: Sequence[Prunable], kept: int) -> np.ndarray:
    """The share of each weight that is kept, `kept` in total: proportional to the sum of its sizes (inputs, outputs,
    taps) over their product, and 1 where that would be more, which leaves less to the others."""
    sizes = np.array([weight.size for weight in weights], float)
    raw = np.array([sum(_sizes(weight)) for weight in weights]) / sizes
    dense = np.zeros(len(weights), bool)
    while True:
        rest = max(kept - sizes[dense].sum(), 0)
        free = (raw * sizes)[~dense].sum()
        densities = np.where(dense, 1.0, raw * (rest / free if free else 0))
        if not (densities > 1).any():
            return densities
        dense |= densities > 1


def erk_counts(weights: Sequence[Prunable], removed: int) -> list[int]:
    """How many of each weight are removed, `removed` in total: fractions go where they are largest."""
    sizes = np.array([weight.size for weight in weights])
    wanted = (1 - erk_densities(weights, int(sizes.sum()) - removed)) * sizes
    counts = np.floor(wanted).astype(int)
    counts[np.argsort(counts - wanted, kind="stable")[: removed - counts.sum()]] += 1
    return [int(count) for count in counts]


def _sizes(weight: Prunable) -> list[int]:
    """Input, output and tap sizes; of several axes of a kind (the heads of attention), the product."""
    shape, ends = weight.shape, (weight.input_axes, weight.output_axes)
    taps = [size for axis, size in enumerate(shape) if all(axis not in axes for axes in ends)]
    return [*(math.prod(shape[axis] for axis in axes) for axes in ends if axes), *taps]
