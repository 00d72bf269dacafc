"""Noise and scaling. Drawing a random number is not counted as arithmetic; what is done with it is."""

from __future__ import annotations

import keras

from tfopt.model.cost.registry import formula
from tfopt.model.cost.work import Call, Work, elementwise

__all__: list[str] = []

_LAYERS = keras.layers


def _drawn(call: Call, forward: int, backward: int, rate: float) -> Work:
    if not call.training or not rate:
        return Work(moved=0, backward_moved=0)
    return elementwise(call, call.output.size, forward, backward) + Work(keeps=False)


@formula(_LAYERS.Dropout)
def _dropout(call: Call) -> Work:
    """Each value is compared with the rate and scaled."""
    return _drawn(call, 2, 1, call.layer.rate)


@formula(_LAYERS.SpatialDropout1D, _LAYERS.SpatialDropout2D, _LAYERS.SpatialDropout3D)
def _spatial_dropout(call: Call) -> Work:
    """Whole channels are kept or dropped: values are only scaled."""
    return _drawn(call, 1, 1, call.layer.rate)


@formula(_LAYERS.GaussianNoise)
def _noise(call: Call) -> Work:
    """The gradient is the incoming one itself."""
    return _drawn(call, 1, 0, call.layer.stddev) + Work(backward_moved=0)


@formula(_LAYERS.GaussianDropout)
def _gaussian_dropout(call: Call) -> Work:
    return _drawn(call, 1, 1, call.layer.rate)


@formula(_LAYERS.Rescaling, _LAYERS.Normalization)
def _scaled(call: Call) -> Work:
    """x·scale + offset, or (x − mean)/deviation."""
    return elementwise(call, call.output.size, 2, 1)
