"""What a layer is for health: one that mixes what comes in, and where its channels are."""

from __future__ import annotations

from typing import Any

import keras

from tfopt.pathways.health.functions import function_of
from tfopt.pathways.rules.registry import role_of

__all__ = ["axis_of", "is_normalisation", "is_weight_layer", "kernel_of"]

_LAYERS = keras.layers
_NORMALISATIONS = (
    _LAYERS.BatchNormalization,
    _LAYERS.LayerNormalization,
    _LAYERS.GroupNormalization,
    _LAYERS.RMSNormalization,
    _LAYERS.UnitNormalization,
)


def is_normalisation(layer: Any) -> bool:
    """Whether a layer gives its output a scale of its own."""
    return isinstance(layer, _NORMALISATIONS)


def kernel_of(layer: Any) -> Any | None:
    """The variable of a layer itself, not of those inside it, that mixes its inputs; None where it has none. A table
    that is looked up mixes nothing."""
    if is_normalisation(layer) or isinstance(layer, _LAYERS.Embedding) or function_of(layer) is not None:
        return None
    own = (*getattr(layer, "_trainable_variables", ()), *getattr(layer, "_non_trainable_variables", ()))
    return next((each for each in own if len(each.shape) > 1 and role_of(layer, each) in ("weight", "unknown")), None)


def is_weight_layer(layer: Any) -> bool:
    """Whether a signal's scale depends on a layer's initializer: it has a kernel, or its recurrent cell has."""
    return isinstance(layer, _LAYERS.RNN) or kernel_of(layer) is not None


def axis_of(layer: Any) -> int:
    """Along which axis of its output a layer has its channels."""
    return 1 if getattr(layer, "data_format", None) == "channels_first" else -1
