"""What a verb works on: the loaded model, and how records describe it."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Sequence
from typing import Any

import keras

from tfopt.errors import InputError, UsageError
from tfopt.model.load import LoadedModel, given, load
from tfopt.model.sizes import item_bytes
from tfopt.records.profile import ModelInfo
from tfopt.workload.precision import precision_of
from tfopt.workload.preserve import preserved

__all__ = ["loaded_or_given", "model_info", "saved_precision"]


def loaded_or_given(
    model: Any, imports: Sequence[str], unsafe: bool, input_size: int | None, seed: int, stack: contextlib.ExitStack
) -> LoadedModel:
    """The model at a path, by name, or a Keras model object, which `stack` puts back as it was."""
    if isinstance(model, str | os.PathLike):
        keras.utils.set_random_seed(seed)
        return load(str(model), imports=imports, unsafe=unsafe, input_size=input_size)
    if not isinstance(model, keras.Model):
        raise UsageError(f"{type(model).__name__} is not a model", "give a path, app:NAME or a keras.Model")
    if not model.built:
        raise InputError(f"{model.name} is not built", "call it on a batch, or model.build(input_shape), first")
    stack.enter_context(preserved(model))
    return given(model)


def model_info(loaded: LoadedModel, model: Any) -> ModelInfo:
    """The record of a model as it runs, which may be a rebuilt copy of the `loaded` one."""
    source = loaded.source
    variables = {id(variable): variable for variable in getattr(model, "weights", None) or model.variables}.values()
    sizes = [(math.prod(variable.shape), variable) for variable in variables]
    return ModelInfo(
        path=source.path,
        name=str(getattr(model, "name", source.name)),
        type=type(model).__name__,
        format=source.format,
        params=sum(size for size, _ in sizes),
        trainable_params=sum(size for size, variable in sizes if variable.trainable),
        weight_bytes=sum(size * item_bytes(variable.dtype) for size, variable in sizes),
        size_bytes=source.size_bytes,
        keras_version=source.keras_version,
    )


def saved_precision(model: Any) -> str:
    """The precision that a model has where none was asked for."""
    return precision_of(model) if isinstance(model, keras.Model) else "float32"
