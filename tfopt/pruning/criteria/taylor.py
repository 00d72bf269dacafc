"""Taylor: the mean over samples of |g · w|, g the gradient of the sample's loss (Molchanov et al., arXiv:1611.06440,
of channels; arXiv:1906.10771).

To first order what the loss of a sample changes by if the weight were zero. The absolute value is taken sample by
sample: where training has converged the mean gradient is nearly nothing, and says nothing.
"""

from __future__ import annotations

from tfopt.pruning.criteria.on_samples import per_sample
from tfopt.pruning.criteria.registry import Scoring, criterion
from tfopt.pruning.prunable import Scores


@criterion("taylor", needs_targets=True)
def taylor(scoring: Scoring) -> Scores:
    """Mean of |g · w|."""
    return per_sample(scoring, abs)
