"""A copy of a model, with weights of its own."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from tfopt.errors import InputError
from tfopt.scratch import temporary_folder
from tfopt.workload.compilation import recompile
from tfopt.workload.failures import first_line

__all__ = ["copied"]


def copied(model: Any) -> tuple[Any, dict[int, Any]]:
    """A copy, and its weight for the id of each of the model's; the way through a file is the one that every model
    that can be saved can go. Raises InputError where it cannot."""
    classes = {type(layer).__name__: type(layer) for layer in model._flatten_layers()}
    try:
        with temporary_folder() as folder:
            model.save(folder / "model.keras")
            # The code in it is the caller's own.
            copy = keras.models.load_model(folder / "model.keras", classes, compile=False, safe_mode=False)
        pairs = list(zip(model.weights, copy.weights, strict=True))
    except Exception as error:
        raise InputError(
            f"{model.name} cannot be copied: {first_line(error)}", "give its layers a get_config, as for saving it"
        ) from error
    for own, other in pairs:
        if not np.array_equal(own.numpy(), other.numpy(), equal_nan=own.dtype != "string"):
            raise InputError(f"{model.name} comes back from a file with another {own.path}", "it cannot be copied")
    if model.compiled:
        recompile(copy, model)
    return copy, {id(own): other for own, other in pairs}
