"""Statistics of tensors, reduced inside the graph: a few numbers leave it per tensor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfopt.pathways.health.functions import SATURATED

__all__ = ["activity", "dense", "in_doubt", "means", "saturated", "sizes"]

_LEAST, _MOST = 1e-12, 1e15
"""Norms between which a sum of squares in float32 neither overflowed nor lost what counts."""


def sizes(tensors: Sequence[Any], *, careful: bool) -> Any:
    """(norm, share that is not finite, number of elements) of each tensor, float64, shape (tensors, 3).

    One op per tensor, and no copy; where that leaves doubts (`in_doubt`), `careful` squares in float64, where nothing
    of float32 overflows or underflows, and counts what is not finite.
    """
    if not tensors:
        return tf.zeros((0, 3), tf.float64)
    counts = tf.stack([tf.cast(tf.size(tensor), tf.float64) for tensor in tensors])
    numbers = [tf.cast(tensor, tf.float64 if careful else tf.float32) for tensor in tensors]
    norms = tf.cast(tf.sqrt(2 * tf.stack([tf.nn.l2_loss(tensor) for tensor in numbers])), tf.float64)
    bad = tf.stack([_nonfinite(tensor) for tensor in numbers]) if careful else tf.zeros_like(norms)
    return tf.stack([norms, bad, counts], 1)


def in_doubt(sizes: np.ndarray) -> bool:
    """Whether one of these may have been too small or too large, or has something that is not finite.

    A zero by itself is one: signals that vanish pass what is small before they underflow to nothing.
    """
    norms = sizes[:, 0]
    return bool((~(norms < _MOST) | ((norms > 0) & (norms < _LEAST))).any())


def _nonfinite(tensor: Any) -> Any:
    """The share of a tensor that is NaN or infinite; of no elements, none."""
    bad = tf.reduce_sum(tf.cast(~tf.math.is_finite(tensor), tf.float64))
    return tf.math.divide_no_nan(bad, tf.cast(tf.size(tensor), tf.float64))


def dense(gradient: Any) -> Any:
    """A gradient as a tensor of the same norm: rows of a table that were looked up twice are added."""
    if not isinstance(gradient, tf.IndexedSlices):
        return gradient
    rows, places = tf.unique(gradient.indices)
    return tf.math.unsorted_segment_sum(gradient.values, places, tf.size(rows))


def means(tensors: Sequence[Any]) -> Any:
    """The mean of each tensor, shape (tensors,)."""
    return tf.stack([tf.reduce_mean(tf.cast(tensor, tf.float32)) for tensor in tensors]) if tensors else tf.zeros((0,))


def activity(y: Any, axis: int) -> Any:
    """The share of values that are not 0 in each channel along `axis`."""
    others = [each for each in range(len(y.shape)) if each != axis % max(len(y.shape), 1)]
    return tf.reduce_mean(tf.cast(tf.not_equal(y, 0), tf.float32), others)


def saturated(name: str, y: Any) -> Any:
    """The share of an activation function's values that are saturated; NaN where it has no such range."""
    return tf.reduce_mean(tf.cast(SATURATED[name](y), tf.float32)) if name in SATURATED else tf.constant(float("nan"))
