"""Layers that keras.applications defines for itself.

They are private in Keras: a test checks that they exist, and what they do.
"""

from __future__ import annotations

from dataclasses import replace

import keras
import numpy as np
from keras.src.applications.convnext import LayerScale
from keras.src.applications.inception_resnet_v2 import CustomScaleLayer

from tfopt.pathways.top_paths.best import merge
from tfopt.pathways.top_paths.transfers.diagonal import scaled
from tfopt.pathways.top_paths.transfers.registry import Call, Units, transfer

__all__: list[str] = []


@transfer(LayerScale)
def _layer_scale(call: Call) -> Units:
    """x · γ, by channel."""
    return scaled(call.x, np.asarray(keras.ops.convert_to_tensor(call.layer.gamma)), [len(call.output.shape) - 1])


@transfer(CustomScaleLayer)
def _scaled_branch(call: Call) -> Units:
    """x + scale · branch."""
    x, branch = (call.units(tensor).indexed() for tensor in call.tensors)
    return replace(x, best=merge([x.best, scaled(branch, call.layer.scale, ()).best]))
