"""Leave a model object as it was: weights, optimizer state, compile state and dtype policies."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from keras.src.trainers.compile_utils import CompileLoss, CompileMetrics

from tfopt.errors import InputError

__all__ = ["optimizers_of", "preserved"]


def optimizers_of(model: Any) -> list[Any]:
    """The optimizers that a model holds, its `optimizer` first; also those in its lists and dicts, however deep."""
    held = [getattr(model, "optimizer", None), *(part for value in vars(model).values() for part in _flat(value))]
    found = [candidate for candidate in held if isinstance(candidate, keras.optimizers.Optimizer)]
    return list({id(optimizer): optimizer for optimizer in found}.values())


def _flat(value: Any) -> list[Any]:
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else None
    return [value] if parts is None else [leaf for part in parts for leaf in _flat(part)]


@contextlib.contextmanager
def preserved(model: Any) -> Iterator[None]:
    """Put everything that a profile changes on `model` back on leaving, whatever happens inside.

    Optimizers, losses and metrics that are not built yet are replaced by copies meanwhile, so that the originals stay
    unbuilt. Raises InputError where an unbuilt optimizer cannot be copied.
    """
    attributes = dict(vars(model))
    policies = [(layer, vars(layer)["_dtype_policy"]) for layer in model._flatten_layers()]
    built = [optimizer for optimizer in optimizers_of(model) if optimizer.built]
    owners = [model, *built, *(metric for metric in model.metrics)]
    variables = {id(variable): variable for owner in owners for variable in owner.variables}.values()
    values = [(variable, np.copy(variable.numpy())) for variable in variables]
    for name, value in attributes.items():
        copied = _unbuilt_copy(value)
        if copied is not value:
            object.__setattr__(model, name, copied)
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


def _unbuilt_copy(value: Any) -> Any:
    """A copy of what the run would build for good, `value` itself where there is nothing to build."""
    if isinstance(value, CompileLoss) and not value.built:
        return CompileLoss(value._user_loss, value._user_loss_weights, output_names=value.output_names)
    if isinstance(value, CompileMetrics) and not value.built:
        return CompileMetrics(value._user_metrics, value._user_weighted_metrics, output_names=value.output_names)
    if isinstance(value, keras.optimizers.Optimizer) and not value.built:
        return _copied(value)
    if isinstance(value, list) and any(isinstance(part, keras.optimizers.Optimizer) for part in value):
        return [_unbuilt_copy(part) for part in value]
    if isinstance(value, dict) and any(isinstance(part, keras.optimizers.Optimizer) for part in value.values()):
        return {key: _unbuilt_copy(part) for key, part in value.items()}
    return value


def _copied(optimizer: Any) -> Any:
    try:
        return type(optimizer).from_config(optimizer.get_config())
    except Exception as error:
        raise InputError(
            f"the optimizer {type(optimizer).__name__} cannot be copied from its get_config: {error}",
            "let get_config give all arguments, or call optimizer.build(model.trainable_variables) before",
        ) from error
