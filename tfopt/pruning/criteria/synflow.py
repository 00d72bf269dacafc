"""SynFlow: path weights, removed in many small rounds (Tanaka et al., arXiv:2006.05467).

Round k of 100 keeps the share (1 − S)^(k/100) of the weights by `path`'s scores of what the rounds before it left. In a
chain the scores of each layer add up to the same total, so that one that is emptied faster than others scores the
higher from round to round, and none is emptied before all are; in one shot there is no such thing. Branches have
different totals: one that few paths lead through may go as a whole.
"""

from __future__ import annotations

import numpy as np

from tfopt.pruning.criteria.path import path_products
from tfopt.pruning.criteria.registry import Scoring, criterion
from tfopt.pruning.prunable import Scores

ROUNDS = 100


@criterion("synflow")
def synflow(scoring: Scoring) -> Scores:
    """The round in which a weight was removed; those that survived all score above, by their last scores."""
    at = path_products(scoring)
    scores = at(None)
    lasted = [np.zeros(weight.shape) for weight in scoring.weights]
    kept = [np.ones(weight.shape, bool) for weight in scoring.weights]
    for number in range(1, ROUNDS + 1):
        for mask, score in zip(kept, scores, strict=True):
            score[~mask] = -1.0  # what was removed goes first again, whatever else scores 0
        now = scoring.allocate(scores, 1 - (1 - scoring.sparsity) ** (number / ROUNDS))
        kept = [before & mask for before, mask in zip(kept, now, strict=True)]
        for rounds, mask in zip(lasted, kept, strict=True):
            rounds += mask
        if number < ROUNDS:
            scores = at(kept)
            scoring.progress("scoring weights", number / ROUNDS)
    top = max((score.max(initial=0.0) for score in scores), default=0.0) or 1.0
    return [rounds + np.where(mask, score / top, 0.0) for rounds, mask, score in zip(lasted, kept, scores, strict=True)]
