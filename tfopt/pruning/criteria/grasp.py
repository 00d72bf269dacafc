"""GraSP: w · (H ḡ), H the Hessian and ḡ the gradient of the mean loss over all samples, both with respect to the
prunable weights (Wang et al., arXiv:2002.07376, without their temperature).

Removing w changes |ḡ|², to first order, by −2 w (H ḡ). Kept are the weights whose removal would lower the norm of the
gradient most: what is left trains fastest at first. (Of the paper's S = −w · (H ḡ) the largest are removed.) Made for
weights that are not trained yet.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tfopt.pruning.criteria.on_samples import sample_loss
from tfopt.pruning.criteria.registry import Scoring, criterion
from tfopt.pruning.prunable import Scores


@criterion("grasp", needs_targets=True, at_initialization=True)
def grasp(scoring: Scoring) -> Scores:
    """w · (H ḡ): one pass for ḡ, one for the Hessian's product with it."""
    import tensorflow as tf

    from tfopt.model.patching import patching
    from tfopt.pathways.sample_loss import gradients

    losses = sample_loss(scoring, scoring.batch_size)
    mean = losses.mean(gradients, lambda done: scoring.progress("scoring weights", done / 2))

    def products(loss: Any, values: Sequence[Any]) -> list[Any]:
        def along(at: Sequence[Any]) -> Any:
            pairs = zip(gradients(loss, at), mean, strict=True)
            return tf.add_n([tf.reduce_sum(gradient * tf.cast(each, gradient.dtype)) for gradient, each in pairs])

        return gradients(along, values)

    with patching() as patch:
        patch(tf.nn, "moments", _moments)
        curved = losses.mean(products, lambda done: scoring.progress("scoring weights", (1 + done) / 2))
    return [weight.values.astype("float64") * each for weight, each in zip(scoring.weights, curved, strict=True)]


def _moments(x: Any, axes: Any, shift: Any = None, keepdims: bool = False, name: str | None = None) -> tuple[Any, Any]:
    """Of TensorFlow's own the mean is a constant to the variance: no matter to a gradient, but to a Hessian."""
    import tensorflow as tf

    mean = tf.reduce_mean(x, axes, keepdims=True)
    variance = tf.reduce_mean(tf.math.squared_difference(x, mean), axes, keepdims=keepdims)
    return (mean if keepdims else tf.squeeze(mean, axes)), variance
