"""The difference of a metric between two programs on the same samples, with its 95 % interval.

The samples are paired: both programs saw each of them. For right-or-wrong metrics only the samples that one program
gets right and the other wrong tell anything (McNemar 1947); where there are none, the difference is 0 and yet not known
to be 0, which the plain normal interval would claim. So these metrics take the adjusted Wald interval for paired
proportions (Bonett and Price, J. Educ. Behav. Stat. 37, 2012): one sample more that went either way.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from tfopt.records.base import finite
from tfopt.records.comparison import MetricDrift

__all__ = ["Metrics", "Paired", "metric_drifts", "paired"]

# (metric, position of the output): the output's name, and one number per sample, float64
Metrics = dict[tuple[str, int], tuple[str, Any]]

_Z = 1.959963984540054  # of the normal distribution, two-sided 95 %
_FEWEST = 2


class Paired(NamedTuple):
    """Means of both, their difference (variant − reference), its interval, the name of the method, and of how many
    samples a value is NaN or infinite: None is whatever would be no number for that."""

    reference: float | None
    variant: float | None
    difference: float | None
    low: float | None
    high: float | None
    method: str
    nonfinite: int = 0


def paired(reference: Any, variant: Any, *, binary: bool) -> Paired:
    """The paired difference of two vectors of values per sample, of equal length; `binary`: each value is 0 or 1."""
    one, other = np.asarray(reference, np.float64), np.asarray(variant, np.float64)
    means = finite(one.mean()), finite(other.mean())
    if nonfinite := int(np.count_nonzero(~(np.isfinite(one) & np.isfinite(other)))):
        return Paired(*means, None, None, None, "none", nonfinite)
    # The mean of differences, not the difference of means: what is equal in both cancels exactly.
    differences = other - one
    if binary:
        gained, lost = int((differences > 0).sum()), int((differences < 0).sum())
        center, half = _adjusted_wald(gained, lost, len(one))
        difference = (gained - lost) / len(one)
        return Paired(*means, difference, max(-1.0, center - half), min(1.0, center + half), "Bonett-Price")
    difference = float(differences.mean())
    if len(one) < _FEWEST:
        return Paired(*means, difference, None, None, "none")
    half = _Z * float(differences.std(ddof=1)) / math.sqrt(len(one))
    return Paired(*means, difference, difference - half, difference + half, "normal")


def metric_drifts(reference: Metrics, variant: Metrics) -> tuple[MetricDrift, ...]:
    """The paired differences of the metrics that both have, over the samples that both saw.

    Two models may call their outputs differently: position tells which is which, and the name is the reference's.
    """
    return tuple(
        _metric(metric, *reference[metric, position], values)
        for (metric, position), (_, values) in variant.items()
        if (metric, position) in reference
    )


def _metric(name: str, output: str, reference: Sequence[float], variant: Sequence[float]) -> MetricDrift:
    count = min(len(reference), len(variant))
    one, other = np.asarray(reference[:count]), np.asarray(variant[:count])
    found = paired(one, other, binary=set(np.unique((one, other))) <= {0.0, 1.0} and name == "accuracy")
    return MetricDrift(name=name, output=output, samples=count, **found._asdict())


def _adjusted_wald(gained: int, lost: int, samples: int) -> tuple[float, float]:
    """Center and half width."""
    p, q, n = (gained + 1) / (samples + 2), (lost + 1) / (samples + 2), samples + 2
    return p - q, _Z * math.sqrt((p + q - (p - q) ** 2) / n)
