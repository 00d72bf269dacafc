"""Keep where |w| is above a threshold; in which unit of each weight, and which thresholds would remove how much."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from tfopt.errors import UsageError
from tfopt.pruning.prunable import Masks, Prunable
from tfopt.records.pruning import Suggestion

__all__ = ["THRESHOLD_MODES", "suggestions", "threshold_masks"]


def _absolute(weight: np.ndarray) -> np.ndarray:
    """|w|."""
    sizes: np.ndarray = np.abs(weight)
    return sizes


def _std(weight: np.ndarray) -> np.ndarray:
    """|w| over the standard deviation of the weight it is in."""
    return _over(np.abs(weight), np.std(weight, dtype=np.float64))


def _max(weight: np.ndarray) -> np.ndarray:
    """|w| over the largest of the weight it is in."""
    return _over(np.abs(weight), np.max(np.abs(weight)))


def _quantile(weight: np.ndarray) -> np.ndarray:
    """The share of the weight it is in that is as small as it; where several are equal, they all go with the first."""
    sizes = np.abs(weight)
    ranks: np.ndarray = (np.searchsorted(np.sort(sizes, axis=None), sizes) + 1) / sizes.size
    return ranks


def _over(sizes: np.ndarray, unit: np.floating) -> np.ndarray:
    exact = sizes.astype(np.float64)
    return np.divide(exact, unit, out=np.where(exact > 0, np.inf, 0), where=np.asarray(unit) > 0)


THRESHOLD_MODES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "absolute": _absolute,
    "std": _std,
    "max": _max,
    "quantile": _quantile,
}


def threshold_masks(weights: Sequence[Prunable], threshold: float, mode: str = "absolute") -> Masks:
    """Masks that keep where |w|, in units of the mode, is above the threshold.

    An absolute threshold is first rounded to the dtype of the weight, so that a weight of 0.1 is not above 0.1.

    Raises UsageError where the threshold is negative or not finite, or there is no such mode.
    """
    if not (math.isfinite(threshold) and threshold >= 0):
        raise UsageError(f"{threshold:g} is no threshold", "give a number from 0 on")
    units = [_unit(mode)(each.values) for each in weights]
    with np.errstate(over="ignore"):  # above all that the dtype can hold: nothing is kept
        return [sizes > np.asarray(threshold).astype(sizes.dtype) for sizes in units]


def suggestions(
    weights: Sequence[Prunable], mode: str = "absolute", sparsities: Sequence[float] = (0.5, 0.8)
) -> tuple[Suggestion, ...]:
    """The thresholds, in units of the mode, that would remove these fractions of all weights together: the largest
    |w| that goes, so that more goes where several are equal. UsageError where there is no such mode."""
    unit = _unit(mode)
    sizes = np.concatenate([unit(each.values).astype(np.float64).ravel() for each in weights])
    ranks = [min(max(round(sparsity * sizes.size), 1), sizes.size) - 1 for sparsity in sparsities]
    found = np.partition(sizes, ranks)
    return tuple(
        Suggestion(sparsity=sparsity, threshold=float(found[rank]))
        for sparsity, rank in zip(sparsities, ranks, strict=True)
    )


def _unit(mode: str) -> Callable[[np.ndarray], np.ndarray]:
    if mode not in THRESHOLD_MODES:
        raise UsageError(f"there is no threshold mode {mode}", f"choose one of {', '.join(THRESHOLD_MODES)}")
    return THRESHOLD_MODES[mode]
