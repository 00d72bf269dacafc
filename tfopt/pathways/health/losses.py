"""The loss whose gradients are taken in training mode, in words, and what it is scaled with."""

from __future__ import annotations

from typing import Any

import keras

from tfopt.pathways.losses import Loss, chosen_loss, loss_of
from tfopt.workload.step import has_own_step
from tfopt.workload.targets import loss_name

__all__ = ["loss_for", "scale_for"]


def loss_for(model: Any, loss: Any, x: Any, y: Any) -> tuple[Loss, str]:
    """The loss of a model for batches like `x` and `y`, and what it is in words."""
    chosen = chosen_loss(model, loss)
    words = chosen.origin
    if has_own_step(model):
        words += "; the model has a train_step of its own, which may do otherwise"
    return loss_of(model, chosen, x, y, training=True), f"{loss_name(chosen.loss)} ({words})"


def scale_for(model: Any) -> float:
    """What a loss is multiplied with so that gradients in float16 do not underflow: the optimizer's scale, or the one
    that Keras starts with; 1 where nothing is computed in float16."""
    optimizer = getattr(model, "optimizer", None)
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer) and optimizer.built:
        return float(optimizer.dynamic_scale.numpy())
    half = any(getattr(layer, "compute_dtype", None) == "float16" for layer in model._flatten_layers())
    return 2.0**15 if half else 1.0
