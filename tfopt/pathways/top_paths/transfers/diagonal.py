"""Layers that scale each channel: normalisations, whose statistics of the input count as 1, and constant factors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from tfopt.pathways.top_paths.best import passed
from tfopt.pathways.top_paths.transfers.registry import Call, Units, log10, transfer

__all__ = ["scaled"]

L = keras.layers


def scaled(x: Units, factors: Any, axes: Sequence[int]) -> Units:
    """Each unit times a factor: those of an array over these axes of the tensor, the largest along other axes."""
    array = np.abs(np.asarray(factors, np.float64))
    if array.size == 1:
        return replace(x, best=passed(x.best, log10(array).item()))
    x = x.indexed()
    gains = log10(array.max(tuple(place for place, axis in enumerate(axes) if axis != x.axis)))
    return Units(passed(x.best, gains), x.axis)


def _value(variable: Any) -> np.ndarray | float:
    return 1.0 if variable is None else np.asarray(keras.ops.convert_to_tensor(variable), np.float64)


def _axes(call: Call) -> list[int]:
    axis, rank = call.layer.axis, len(call.tensors[0].shape)
    return [each % rank for each in ([axis] if isinstance(axis, int) else axis)]


@transfer(L.BatchNormalization)
def _batch_normalization(call: Call) -> Units:
    layer = call.layer
    deviation = np.sqrt(_value(layer.moving_variance) + layer.epsilon)
    return scaled(call.x, _value(layer.gamma) / deviation, _axes(call))


@transfer(L.LayerNormalization, L.GroupNormalization)
def _gamma(call: Call) -> Units:
    return scaled(call.x, _value(call.layer.gamma), _axes(call))


@transfer(L.RMSNormalization)
def _scale(call: Call) -> Units:
    return scaled(call.x, _value(call.layer.scale), _axes(call))


@transfer(L.Normalization)
def _normalization(call: Call) -> Units:
    deviation = np.maximum(np.sqrt(_value(call.layer.variance)), keras.config.epsilon())  # of the input's rank, or one
    return scaled(call.x, deviation if call.layer.invert else 1 / deviation, range(np.ndim(deviation)))


@transfer(L.Rescaling)
def _rescaling(call: Call) -> Units:
    scale = np.asarray(call.layer.scale)
    rank = len(call.tensors[0].shape)
    return scaled(call.x, scale, range(rank - scale.ndim, rank))
