"""LAMP: w² over the sum of the squares of all weights of the same tensor that are not smaller (Lee et al.,
arXiv:2010.07611).

That is magnitude within a tensor, and across tensors what removing it adds to the relative distortion of the layer at
least; the largest weight of every tensor scores 1, so that none is emptied before all are down to one weight.
"""

from __future__ import annotations

import numpy as np

from tfopt.pruning.criteria.registry import Scoring, criterion
from tfopt.pruning.prunable import Scores


@criterion("lamp", scopes=("global",))
def lamp(scoring: Scoring) -> Scores:
    """w² / Σ v² over |v| ≥ |w|. Of equal ones, the earlier counts as the smaller."""
    return [_within(weight.values.astype("float64")) for weight in scoring.weights]


def _within(values: np.ndarray) -> np.ndarray:
    magnitudes = np.abs(values.ravel())
    squares = (magnitudes / (magnitudes.max(initial=0.0) or 1.0)) ** 2  # no scale overflows or vanishes
    order = np.argsort(squares, kind="stable")
    ascending = squares[order]
    rest = np.cumsum(ascending[::-1])[::-1]
    scores: np.ndarray = np.empty_like(squares)
    scores[order] = np.divide(ascending, rest, out=np.zeros_like(rest), where=rest > 0)
    return scores.reshape(values.shape)
