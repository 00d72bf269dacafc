"""What influence can look into."""

from __future__ import annotations

from typing import Any

import keras

from tfopt.errors import InputError, UsageError

__all__ = ["check_model"]


def check_model(model: Any) -> None:
    """Only a Keras model has layers, and only a built one has weights.

    Raises:
        InputError: it is something else.
        UsageError: it is not built; a call inside a trace would build it for good.
    """
    if not isinstance(model, keras.Model):
        raise InputError(
            f"this is no Keras model but {type(model).__name__}, which has no layers to look into",
            "save the model itself with model.save('model.keras'), and load that",
        )
    if not model.built:
        raise UsageError(f"{model.name} has no weights yet", "call the model once on a batch, or model.build(shape)")
