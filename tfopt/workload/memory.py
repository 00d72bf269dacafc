"""Refuse a batch that no step can hold or compute, instead of letting a kernel end the process."""

from __future__ import annotations

import math
import os
from typing import Any

import keras
import tensorflow as tf

from tfopt.errors import InputError, UsageError
from tfopt.model.layers import layer_tree
from tfopt.report.units import size

__all__ = ["refuse_hopeless"]


def refuse_hopeless(model: Any, batch_size: int) -> None:
    """Raise UsageError where one layer's output alone, for the whole batch, is larger than this machine's memory, and
    InputError where it holds no values: oneDNN aborts on these.

    Only graphs tell their shapes; a free dimension counts as 1. Fitting here is no promise: a step holds more.
    """
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for layer in (place.layer for place in layer_tree(model)):
        for node in getattr(layer, "_inbound_nodes", ()):
            for tensor in node.output_tensors:
                values = math.prod(1 if length is None else length for length in tensor.shape[1:])
                if values == 0:
                    raise InputError(
                        f"the output of {layer.name} has the shape {tuple(tensor.shape)}: it holds no values",
                        "TensorFlow's kernels may end the process on it; build the model without that layer",
                    )
                needed = batch_size * values * _item_bytes(tensor.dtype)
                if needed > memory:
                    raise UsageError(
                        f"a batch of {batch_size} cannot run: the output of {layer.name} alone takes {size(needed)}, "
                        f"this machine has {size(memory)}",
                        "choose a smaller --batch-size",
                    )


def _item_bytes(dtype: Any) -> int:
    return int(tf.as_dtype(keras.backend.standardize_dtype(dtype)).size) or 1  # a string has no size of its own
