"""Magnitude: |w|.

What is small changes the outputs least, if inputs are alike (LeCun et al., Optimal Brain Damage, 1990, on why not
always; Han et al., arXiv:1506.02626, on how well it does). Across layers it favours those with large weights.
"""

from __future__ import annotations

import numpy as np

from tfopt.pruning.criteria.registry import Scoring, criterion
from tfopt.pruning.prunable import Scores


@criterion("magnitude")
def magnitude(scoring: Scoring) -> Scores:
    """|w|."""
    return [np.abs(weight.values.astype("float64")) for weight in scoring.weights]
