"""Fisher: the mean over samples of (g · w)², g the gradient of the sample's loss (Theis et al., arXiv:1801.05787; twice
what Optimal Brain Damage, LeCun et al. 1990, gives with the empirical Fisher information for the Hessian's diagonal).

Where training has converged: to second order what the loss rises by if the weight were zero.
"""

from __future__ import annotations

from tfopt.pruning.criteria.on_samples import per_sample
from tfopt.pruning.criteria.registry import Scoring, criterion
from tfopt.pruning.prunable import Scores


@criterion("fisher", needs_targets=True)
def fisher(scoring: Scoring) -> Scores:
    """Mean of (g · w)²."""
    return per_sample(scoring, lambda product: product**2)
