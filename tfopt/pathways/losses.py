"""The loss that is measured: the one asked for, the model's own, or one that fits its outputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
from keras.src.trainers.compile_utils import CompileLoss

from tfopt.model.patching import patching
from tfopt.workload.batching import outputs_of
from tfopt.workload.targets import infer_loss

__all__ = ["Chosen", "Loss", "chosen_loss", "loss_of"]

Loss = Callable[..., Any]
"""Is given inputs, targets, outputs and, if there are any, sample weights; returns a scalar."""


@dataclass(frozen=True)
class Chosen:
    """A loss and the weights of several outputs, as `keras.Model.compile` takes them; `origin` says in words where the
    loss is from, `given` whether it was asked for."""

    loss: Any
    weights: Any
    origin: str
    given: bool = False


def chosen_loss(model: Any, loss: Any = None) -> Chosen:
    """Which loss is meant, where `loss` was asked for (None: nothing was)."""
    own = getattr(model, "_compile_loss", None)
    if loss is not None:
        return Chosen(loss, None, "as given", given=True)
    if own is not None:
        return Chosen(own._user_loss, own._user_loss_weights, "as compiled")
    fitting, reason = infer_loss(model)
    return Chosen(fitting, None, f"assumed, since {reason}")


def loss_of(model: Any, chosen: Chosen, x: Any, y: Any, *, training: bool) -> Loss:
    """The loss of a model for batches like `x` and `y`, which does not compile the model.

    Regularization and what layers added with `add_loss` are part of it. A `compute_loss` of the model's own takes part
    unless another loss was asked for.
    """
    # A copy: the model's own would be built for good, and its running means changed.
    copy = CompileLoss(chosen.loss, chosen.weights, output_names=getattr(model, "output_names", None))
    if len(keras.tree.flatten(y)) > 1:  # then each loss has a running mean, which no trace may create
        copy.build(y, outputs_of(model, x))
    compute = partial(keras.Model.compute_loss, model) if chosen.given else model._compute_loss

    def computed(x: Any, y: Any, outputs: Any, sample_weight: Any = None) -> Any:
        with patching() as patch:
            patch(model, "_compile_loss", copy)
            return compute(x=x, y=y, y_pred=outputs, sample_weight=sample_weight, training=training)

    return computed
