"""Leave a model object as it was: weights, optimizer state, compile state and dtype policies."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

__all__ = ["optimizers_of", "preserved"]


def optimizers_of(model: Any) -> list[Any]:
    """The optimizers that a model holds, its `optimizer` first (a model with its own `train_step` may hold several)."""
    held = [getattr(model, "optimizer", None), *vars(model).values()]
    found = [candidate for candidate in held if isinstance(candidate, keras.optimizers.Optimizer)]
    return list({id(optimizer): optimizer for optimizer in found}.values())


@contextlib.contextmanager
def preserved(model: Any) -> Iterator[None]:
    """Put everything that a profile changes on `model` back on leaving, whatever happens inside.

    An optimizer that is not built yet is replaced by a copy meanwhile, so that the original stays unbuilt.
    """
    attributes = dict(vars(model))
    policies = [(layer, vars(layer)["_dtype_policy"]) for layer in model._flatten_layers()]
    optimizers = optimizers_of(model)
    variables = [*model.variables, *(v for optimizer in optimizers if optimizer.built for v in optimizer.variables)]
    values = [(variable, np.copy(variable.numpy())) for variable in {id(v): v for v in variables}.values()]
    optimizer = attributes.get("optimizer")
    if isinstance(optimizer, keras.optimizers.Optimizer) and not optimizer.built:
        object.__setattr__(model, "optimizer", type(optimizer).from_config(optimizer.get_config()))
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
