"""Leave a model object as it was: weights, optimizer state, compile state and dtype policies."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from keras.src.trainers.compile_utils import CompileLoss

__all__ = ["optimizers_of", "preserved"]


def optimizers_of(model: Any) -> list[Any]:
    """The optimizers that a model holds, its `optimizer` first (a model with its own `train_step` may hold several)."""
    held = [getattr(model, "optimizer", None), *vars(model).values()]
    found = [candidate for candidate in held if isinstance(candidate, keras.optimizers.Optimizer)]
    return list({id(optimizer): optimizer for optimizer in found}.values())


@contextlib.contextmanager
def preserved(model: Any) -> Iterator[None]:
    """Put everything that a profile changes on `model` back on leaving, whatever happens inside.

    Optimizers and losses that are not built yet are replaced by copies meanwhile, so that the originals stay unbuilt.
    """
    attributes = dict(vars(model))
    policies = [(layer, vars(layer)["_dtype_policy"]) for layer in model._flatten_layers()]
    optimizers = optimizers_of(model)
    variables = [*model.variables, *(v for optimizer in optimizers if optimizer.built for v in optimizer.variables)]
    values = [(variable, np.copy(variable.numpy())) for variable in {id(v): v for v in variables}.values()]
    for name, value in attributes.items():
        if isinstance(value, keras.optimizers.Optimizer) and not value.built:
            object.__setattr__(model, name, type(value).from_config(value.get_config()))
    loss = attributes.get("_compile_loss")
    if loss is not None and not loss.built:
        object.__setattr__(model, "_compile_loss", _unbuilt(loss))
    try:
        yield
    finally:
        for variable, value in values:
            variable.assign(value)
        for layer, policy in policies:
            object.__setattr__(layer, "_dtype_policy", policy)
        for name in [name for name in vars(model) if name not in attributes]:
            object.__delattr__(model, name)
        for name, value in attributes.items():
            if vars(model).get(name) is not value:
                object.__setattr__(model, name, value)


def _unbuilt(loss: CompileLoss) -> CompileLoss:
    return CompileLoss(loss._user_loss, loss._user_loss_weights, output_names=loss.output_names)
