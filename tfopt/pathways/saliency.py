"""Saliency of weights: how much the loss would change, to first order, if a weight were zero.

|weight × gradient| (SNIP: Lee et al., arXiv:1810.02340), accumulated over samples or minibatches. The absolute value is
taken of each term: gradients of single samples cancel in their mean, most of all where a model is trained.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from tfopt.errors import InputError, RunFailed, UsageError
from tfopt.pathways.interception import intercepted
from tfopt.pathways.losses import Loss, chosen_loss, loss_of
from tfopt.pathways.samples import samples_of
from tfopt.pathways.surrogate import in_dtype
from tfopt.wording import listed
from tfopt.workload.failures import explained

__all__ = ["weight_saliency"]


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
        per: whether the gradient is that of each `sample`, or of the mean loss of each `batch`.
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
    if y is None:
        raise UsageError("saliency needs targets: without them there is no loss", "give x and y")
    samples = samples_of(model, x, y, batch_size=batch_size if per == "batch" else 1)
    if (per == "sample" and samples.batch_size > 1) or (samples.fixed and samples.count % samples.batch_size):
        raise InputError(
            f"the model takes batches of {samples.batch_size} samples and nothing smaller",
            f"give a multiple of {samples.batch_size} samples, and per='batch'",
        )
    variables = list(model.trainable_variables)
    totals = [tf.Variable(tf.zeros(variable.shape, tf.float64)) for variable in variables]
    with explained("computing the loss"):
        first = samples.cut(np.arange(samples.batch_size))
        of_batch = loss_of(model, chosen_loss(model, loss), *first, training=False)
        add = _accumulating(model, variables, totals, of_batch, _signature(first, samples.fixed))
        for numbers in samples.batches():
            add(*samples.cut(numbers))
    passes = samples.count if per == "sample" else -(-samples.count // samples.batch_size)
    found = {variable.path: total.numpy() / passes for variable, total in zip(variables, totals, strict=True)}
    wrong = [path for path, array in found.items() if not np.isfinite(array).all()]
    if wrong:
        raise RunFailed(f"gradients of {listed(wrong)} are not finite", "tfopt.health says where values are too large")
    return found


def _signature(example: Any, fixed: bool) -> Any:
    """The arguments' shapes, with a free batch, so that a smaller last batch does not compile anything again."""
    return keras.tree.map_structure(
        lambda tensor: tf.TensorSpec(tensor.shape if fixed else (None, *tensor.shape[1:]), tensor.dtype), example
    )


def _accumulating(
    model: Any, variables: Sequence[Any], totals: Sequence[Any], loss: Loss, signature: Any
) -> Callable[[Any, Any], None]:
    """What adds a batch's |weight × gradient| to the totals, compiled."""
    dtype = "float64" if any(variable.dtype == "float64" for variable in model.weights) else "float32"

    def pass_over(x: Any, y: Any) -> None:
        values = [
            (variable, tf.cast(variable.value, dtype))
            for variable in model.weights
            if keras.backend.is_float_dtype(variable.dtype)
        ]
        by_id = {id(variable): value for variable, value in values}
        weights = [by_id[id(variable)] for variable in variables]
        x = in_dtype(x, dtype)
        with tf.GradientTape() as tape:
            tape.watch(weights)
            with intercepted(model, _as_it_is, functions={}, attributes={}, values=values, dtype=dtype):
                outputs = model(x, training=False) if getattr(model, "_call_has_training_arg", False) else model(x)
                total = loss(x, y, outputs)
        gradients = tape.gradient(total, weights, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        for sum_of, weight, gradient in zip(totals, weights, gradients, strict=True):
            sum_of.assign_add(tf.cast(tf.abs(weight * gradient), tf.float64))

    return tf.function(pass_over, input_signature=signature, autograph=False)  # type: ignore[no-any-return]


def _as_it_is(operation: Any, run: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return run(*args, **kwargs)
