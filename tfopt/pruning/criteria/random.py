"""Random: numbers that mean nothing, for comparison. A criterion that does no better is of no use."""

from __future__ import annotations

import numpy as np

from tfopt.pruning.criteria.registry import Scoring, criterion
from tfopt.pruning.prunable import Scores


@criterion("random")
def random(scoring: Scoring) -> Scores:
    """Uniform, the same for a seed: what one step of a schedule removed, the next removes as well."""
    draw = np.random.default_rng(scoring.seed)
    return [draw.random(weight.shape) for weight in scoring.weights]
