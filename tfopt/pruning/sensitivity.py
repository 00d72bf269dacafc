"""How much each weight matters to the result: prune it alone, and measure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tfopt.pruning.allocation.scopes import allocate
from tfopt.pruning.prunable import Prunable, Scores
from tfopt.records.base import finite
from tfopt.records.pruning import SensitivityPoint
from tfopt.report.progress import ProgressCallback, silent

__all__ = ["SPARSITIES", "sensitivity"]

SPARSITIES = (0.25, 0.5, 0.75, 0.9, 0.95)


def sensitivity(
    weights: Sequence[Prunable],
    scores: Scores,
    metric: Callable[[], float],
    *,
    scope: str = "layer",
    sparsities: Sequence[float] = SPARSITIES,
    progress: ProgressCallback = silent,
) -> tuple[SensitivityPoint, ...]:
    """The metric with one weight pruned by its scores, everything else as it is, at each of the sparsities.

    Args:
        weights, scores: what to prune, and which of it first.
        metric: the model's, as it is when this is called.
        scope: `layer`, or `output` for scores that are compared per output unit.
        sparsities: fractions to remove.
        progress: is told how far this is.

    Raises what `metric` and `allocate` raise; the weights are what they were, bit for bit, however it ends.
    """
    points = []
    for number, (weight, score) in enumerate(zip(weights, scores, strict=True)):
        progress("pruning one weight at a time", number / len(weights))
        before = weight.values.copy()  # what Keras gives may be the variable's own memory
        masks = [allocate([score], sparsity, scope, [weight])[0] for sparsity in sparsities]
        try:
            for sparsity, mask in zip(sparsities, masks, strict=True):
                weight.variable.assign(before * mask)
                points.append(SensitivityPoint(path=weight.path, sparsity=sparsity, value=finite(metric())))
        finally:
            weight.variable.assign(before)
    return tuple(points)
