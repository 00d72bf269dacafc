"""Wanda: |w| · ‖x‖₂, x what the weight is multiplied with, over all samples and positions (Sun et al.,
arXiv:2306.11695).

It ranks the weights of one output against each other, where each multiplies another input: that is the default scope.
Outputs, and layers even less, are not comparable by it.
"""

from __future__ import annotations

import numpy as np

from tfopt.pruning.criteria.registry import Scoring, criterion
from tfopt.pruning.prunable import Scores
from tfopt.wording import listed


@criterion("wanda", needs_data=True, scopes=("output", "layer"))
def wanda(scoring: Scoring) -> Scores:
    """|w| · ‖x‖₂; |w| where nobody can tell what x is, which a note says."""
    from tfopt.pruning.features import input_squares

    squares = input_squares(
        scoring.model,
        scoring.weights,
        scoring.x,
        batch_size=scoring.batch_size,
        progress=lambda done: scoring.progress("scoring weights", done),
    )
    unseen = [weight.path for weight, each in zip(scoring.weights, squares, strict=True) if each is None]
    if unseen:
        scoring.note(f"what {listed(unseen)} is multiplied with cannot be observed: it is ranked by magnitude")
    return [
        np.abs(weight.values.astype("float64")) * (1.0 if each is None else np.sqrt(each))
        for weight, each in zip(scoring.weights, squares, strict=True)
    ]
