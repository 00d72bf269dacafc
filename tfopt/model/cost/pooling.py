"""Pooling: one operation (a comparison or an addition) per tap and output value."""

from __future__ import annotations

import math

import keras

from tfopt.model.cost.registry import formula
from tfopt.model.cost.work import Call, NoFormula, Work, elementwise

__all__: list[str] = []

_LAYERS = keras.layers


@formula(_LAYERS.MaxPooling1D, _LAYERS.MaxPooling2D, _LAYERS.MaxPooling3D)
def _max(call: Call) -> Work:
    """Each gradient is added at the place of its maximum."""
    return elementwise(call, call.output.size, math.prod(_lengths(call.layer.pool_size, call)))


@formula(_LAYERS.AveragePooling1D, _LAYERS.AveragePooling2D, _LAYERS.AveragePooling3D)
def _average(call: Call) -> Work:
    taps = math.prod(_lengths(call.layer.pool_size, call))
    return elementwise(call, call.output.size, taps, taps)


def _lengths(pool: int | tuple[int, ...], call: Call) -> tuple[int, ...]:
    return (pool,) * (len(call.input.lengths) - 2) if isinstance(pool, int) else tuple(pool)


@formula(_LAYERS.GlobalAveragePooling1D, _LAYERS.GlobalAveragePooling2D, _LAYERS.GlobalAveragePooling3D)
def _mean(call: Call) -> Work:
    if call.arguments.get("mask") is not None:
        raise NoFormula
    return elementwise(call, call.input.size)


@formula(_LAYERS.GlobalMaxPooling1D, _LAYERS.GlobalMaxPooling2D, _LAYERS.GlobalMaxPooling3D)
def _maximum(call: Call) -> Work:
    """The gradient goes in equal parts to all values that are the maximum: compared, counted, divided, multiplied."""
    return elementwise(call, call.input.size, 1, 4)
