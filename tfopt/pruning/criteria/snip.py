"""SNIP: |ḡ · w|, ḡ the gradient of the mean loss over all samples (Lee et al., arXiv:1810.02340, who then divide by the
sum over all weights, which ranks nothing differently).

Made for weights that are not trained yet; where training has converged ḡ is nearly nothing.
"""

from __future__ import annotations

import numpy as np

from tfopt.pruning.criteria.on_samples import sample_loss
from tfopt.pruning.criteria.registry import Scoring, criterion
from tfopt.pruning.prunable import Scores


@criterion("snip", needs_targets=True, at_initialization=True)
def snip(scoring: Scoring) -> Scores:
    """|ḡ · w|."""
    from tfopt.pathways.saliency import products

    losses = sample_loss(scoring, scoring.batch_size)
    means = losses.mean(products(lambda product: product), lambda done: scoring.progress("scoring weights", done))
    return [np.abs(mean) for mean in means]
