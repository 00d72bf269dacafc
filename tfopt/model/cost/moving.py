"""Layers that compute nothing: containers, views of the same values, and values that are moved."""

from __future__ import annotations

import keras
from keras.src.models.functional import Functional

from tfopt.model.cost.registry import formula
from tfopt.model.cost.work import Call, NoFormula, Work, elementwise

__all__: list[str] = []

_LAYERS = keras.layers
_BILINEAR = 9  # three interpolations a + (b − a)·t


@formula(Functional, keras.Sequential)
@formula(_LAYERS.Flatten, _LAYERS.Reshape, _LAYERS.Identity, _LAYERS.ActivityRegularization)
def _view(call: Call) -> Work:
    return Work(moved=0, backward_moved=0)


@formula(_LAYERS.RepeatVector)
def _repeated(call: Call) -> Work:
    """The gradients of the copies are added up."""
    return elementwise(call, call.output.size, 0) + Work(keeps=False)


@formula(
    *(_LAYERS.Concatenate, _LAYERS.Permute),
    *(_LAYERS.Cropping1D, _LAYERS.Cropping2D, _LAYERS.Cropping3D),
    *(_LAYERS.ZeroPadding1D, _LAYERS.ZeroPadding2D, _LAYERS.ZeroPadding3D),
)
def _moved(call: Call) -> Work:
    return Work(keeps=False)


@formula(_LAYERS.UpSampling1D, _LAYERS.UpSampling2D, _LAYERS.UpSampling3D)
def _upsampling(call: Call) -> Work:
    """Repeated values, whose gradients are added up, or values between."""
    kind = getattr(call.layer, "interpolation", "nearest")
    if kind not in ("nearest", "bilinear"):
        raise NoFormula
    forward, backward = (_BILINEAR, _BILINEAR) if kind == "bilinear" else (0, 1)
    return elementwise(call, call.output.size, forward, backward) + Work(keeps=False)


@formula(_LAYERS.Masking)
def _masking(call: Call) -> Work:
    """One comparison per value."""
    return elementwise(call, call.output.size, 1, 0)
