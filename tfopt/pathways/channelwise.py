"""Layers that keep channels apart: each of theirs is made of the same channel of what they take."""

from __future__ import annotations

from collections.abc import Iterator

import keras

__all__ = ["CHANNELWISE", "GLOBAL_POOLING"]


def _layers(names: str) -> Iterator[type]:
    return (getattr(keras.layers, name) for name in names.split())


CHANNELWISE = (
    *_layers("Activation ReLU LeakyReLU PReLU ELU Identity ActivityRegularization Masking"),
    *_layers("Dropout AlphaDropout GaussianDropout GaussianNoise"),
    *_layers("SpatialDropout1D SpatialDropout2D SpatialDropout3D"),
    *_layers("MaxPooling1D MaxPooling2D MaxPooling3D AveragePooling1D AveragePooling2D AveragePooling3D"),
    *_layers("ZeroPadding1D ZeroPadding2D ZeroPadding3D Cropping1D Cropping2D Cropping3D"),
    *_layers("UpSampling1D UpSampling2D UpSampling3D"),
)
"""Layers that leave a tensor's axes where they are, and a channel's scale to what it was. That a function of an
Activation may be a softmax is for those to see to who ask."""

GLOBAL_POOLING = (
    *_layers("GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D"),
    *_layers("GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D"),
)
