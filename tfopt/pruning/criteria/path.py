"""Path: the share of all path weights that leads through a weight: w · ∂R/∂w of the network with |w|, on an input of
ones (`tfopt.path_weights`; Neyshabur et al., arXiv:1503.00036). Data-free, in one shot: SynFlow without its rounds.

R is taken before a last softmax or sigmoid, a path leads through each place that a maximum could choose, and nothing
that is added counts.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from tfopt.errors import RunFailed
from tfopt.pruning.criteria.registry import Scoring, criterion
from tfopt.pruning.prunable import Masks, Scores
from tfopt.wording import listed

__all__ = ["path_products"]


@criterion("path")
def path(scoring: Scoring) -> Scores:
    """w · ∂R/∂w, relative to R."""
    return path_products(scoring)(None)


def path_products(scoring: Scoring) -> Callable[[Masks | None], Scores]:
    """w · ∂R/∂w over R with masks in place, by weight; compiled once, in float64 unless a layer refuses.

    Raises RunFailed where the model does not run on ones, or its total is not a positive number.
    """
    from tfopt.pathways.path_weights import ones, path_sums
    from tfopt.pathways.plan import Plan

    inputs = ones(scoring.model)
    surrogate, first, reason = path_sums(scoring.model, Plan(True), inputs, arrays=True)
    if reason:
        scoring.note(f"paths were summed in float32: {reason}")
    numbers = {id(weight.variable): number for number, weight in enumerate(surrogate.weights)}
    places = [numbers[id(weight.variable)] for weight in scoring.weights]
    apart = [each.path for each, place in zip(scoring.weights, places, strict=True) if not first.connected[place]]
    if apart:
        scoring.note(f"no path leads through {listed(apart)}: its scores are 0")

    def at(masks: Masks | None) -> Scores:
        sums = first if masks is None else surrogate.run(inputs, masks=dict(zip(places, masks, strict=True)))
        if not math.isfinite(sums.total) or (masks is None and sums.total <= 0):
            raise RunFailed(
                f"the total of all paths is {sums.total:g}", "tfopt influence says more; choose another criterion"
            )
        arrays = dict(zip(surrogate.chosen, sums.arrays, strict=True))
        return [
            arrays[place] / sums.total if place in arrays and sums.total else np.zeros(weight.shape)
            for weight, place in zip(scoring.weights, places, strict=True)
        ]

    return at
