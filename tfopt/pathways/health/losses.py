"""The loss whose gradients are taken: the model's own, one that was given, or one that fits its outputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras.src.trainers.compile_utils import CompileLoss

from tfopt.model.patching import patching
from tfopt.workload.batching import outputs_of
from tfopt.workload.step import has_own_step
from tfopt.workload.targets import infer_loss, loss_name

__all__ = ["Loss", "loss_for", "scale_for"]

Loss = Callable[[Any, Any, Any, Any], Any]
"""Is given inputs, targets, outputs and sample weights; returns the loss."""


def loss_for(model: Any, loss: Any, x: Any, y: Any) -> tuple[Loss, str]:
    """The loss of a model for batches like `x` and `y`, and what it is in words. The model is not compiled by it.

    Regularization and what layers added with `add_loss` are part of it.
    """
    own = model._compile_loss if model.compiled and loss is None else None
    weights = None
    if own is not None:
        chosen, weights, words = own._user_loss, own._user_loss_weights, "as compiled"
    elif loss is not None:
        chosen, words = loss, "as given"
    else:
        chosen, reason = infer_loss(model)
        words = f"assumed, since {reason}"
    if has_own_step(model):
        words += "; the model has a train_step of its own, which may do otherwise"
    # A copy: the model's own would be built for good, and its running means changed.
    copy = CompileLoss(chosen, weights, output_names=getattr(model, "output_names", None))
    if len(keras.tree.flatten(y)) > 1:  # then each loss has a running mean, which no trace may create
        copy.build(y, outputs_of(model, x))

    def computed(x: Any, y: Any, outputs: Any, sample_weight: Any) -> Any:
        with patching() as patch:
            patch(model, "_compile_loss", copy)
            return model._compute_loss(x=x, y=y, y_pred=outputs, sample_weight=sample_weight, training=True)

    return computed, f"{loss_name(chosen)} ({words})"


def scale_for(model: Any) -> float:
    """What a loss is multiplied with so that gradients in float16 do not underflow: the optimizer's scale, or the one
    that Keras starts with; 1 where nothing is computed in float16."""
    optimizer = getattr(model, "optimizer", None)
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer) and optimizer.built:
        return float(optimizer.dynamic_scale.numpy())
    half = any(getattr(layer, "compute_dtype", None) == "float16" for layer in model._flatten_layers())
    return 2.0**15 if half else 1.0
