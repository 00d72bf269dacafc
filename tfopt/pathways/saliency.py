"""Saliency of weights: how much the loss would change, to first order, if a weight were zero.

|weight × gradient| (SNIP: Lee et al., arXiv:1810.02340), accumulated over samples or minibatches. The absolute value is
taken of each term: gradients of single samples cancel in their mean, most of all where a model is trained.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import tensorflow as tf

from tfopt.errors import UsageError
from tfopt.pathways.models import check_model
from tfopt.pathways.sample_loss import Batch, SampleLoss, gradients

__all__ = ["products", "weight_saliency"]


def weight_saliency(
    model: Any, x: Any, y: Any, *, per: Literal["sample", "batch"] = "sample", batch_size: int = 32, loss: Any = None
) -> dict[str, np.ndarray]:
    """The mean of |weight × gradient of the loss|, by a trainable variable's path, as an array of its shape.

    Nothing of the model is changed; it runs in inference mode (no Dropout, BatchNormalization by its moving averages),
    layers of half precision in float32.

    Args:
        model: a built Keras model.
        x: samples with the batch first; a list or dict of arrays for several inputs.
        y: their targets.
        per: whether the gradient is that of each `sample`, or of the mean loss of each `batch`, which counts by its
            samples.
        batch_size: samples per minibatch.
        loss: a loss as `compile` takes it; by default the model's own, with its regularization, else one that fits its
            outputs.

    Raises:
        UsageError: `per` is something else, there are no targets, or the model is not built.
        InputError: there are no samples, or they do not fit the model or the size of its batches.
        RunFailed: the model does not run on the samples, or gradients are not finite.
    """
    if per not in ("sample", "batch"):
        raise UsageError(f"saliency per {per!r} is not known", "choose sample or batch")
    check_model(model)
    variables = list(model.trainable_variables)
    losses = SampleLoss(model, variables, x, y, batch_size=batch_size if per == "batch" else 1, loss=loss)
    arrays = losses.mean(products(tf.abs))
    return {variable.path: array for variable, array in zip(variables, arrays, strict=True)}


def products(of: Callable[[Any], Any]) -> Callable[[Batch, Sequence[Any]], list[Any]]:
    """For `SampleLoss.mean`: a function of weight × gradient, in float64."""

    def term(loss: Batch, values: Sequence[Any]) -> list[Any]:
        pairs = zip(values, gradients(loss, values), strict=True)
        return [of(tf.cast(value, tf.float64) * tf.cast(gradient, tf.float64)) for value, gradient in pairs]

    return term
