"""Bytes of values."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

__all__ = ["item_bytes"]


def item_bytes(dtype: Any) -> int:
    """Bytes of one value of `dtype`, Keras's or TensorFlow's."""
    return int(tf.as_dtype(keras.backend.standardize_dtype(dtype)).size) or 1  # a string has no size of its own
