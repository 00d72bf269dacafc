"""What the criteria of the loss share: the loss on the samples of a scoring, as a function of the weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tfopt.pruning.criteria.registry import Scoring

__all__ = ["per_sample", "sample_loss"]


def sample_loss(scoring: Scoring, batch_size: int) -> Any:
    """A `SampleLoss`."""
    from tfopt.pathways.sample_loss import SampleLoss

    variables = [weight.variable for weight in scoring.weights]
    data = scoring.x, scoring.y, scoring.sample_weight
    return SampleLoss(scoring.model, variables, *data, batch_size=batch_size, loss=scoring.loss)


def per_sample(scoring: Scoring, of: Callable[[Any], Any]) -> list[np.ndarray]:
    """The mean over samples of `of(weight × gradient of the sample's loss)`; of batches, and a note, where the model
    fixes the size of its batches."""
    from tfopt.model.inputs import fixed_batch, input_specs
    from tfopt.pathways.saliency import products

    specs = input_specs(scoring.model) if getattr(scoring.model, "inputs", None) else ()
    fixed = fixed_batch(specs) or 1
    if fixed > 1:
        scoring.note(f"the model takes {fixed} samples at once: gradients are of such batches, not of single samples")
    losses = sample_loss(scoring, fixed)
    found: list[np.ndarray] = losses.mean(products(of), lambda done: scoring.progress("scoring weights", done))
    return found
