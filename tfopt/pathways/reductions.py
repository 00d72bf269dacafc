"""Sums and extremes of many tensors with few ops: tracing and compiling a pass costs more than running it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

__all__ = ["Reductions", "largest", "relative_least", "stacked"]


class Reductions:
    """Reductions over all axes, with one constant per rank for the axes."""

    def __init__(self) -> None:
        self._axes: dict[int, Any] = {}

    def sums(self, tensors: Sequence[Any]) -> Any:
        """The sum of each tensor; shape (tensors,), float64."""
        return stacked([tf.raw_ops.Sum(input=tensor, axis=self._all(tensor)) for tensor in tensors])

    def ranges(self, tensors: Sequence[Any]) -> Any:
        """The least and the largest element of each tensor; shape (2, tensors), float64."""
        least = [tf.raw_ops.Min(input=tensor, axis=self._all(tensor)) for tensor in tensors]
        most = [tf.raw_ops.Max(input=tensor, axis=self._all(tensor)) for tensor in tensors]
        return tf.stack([stacked(least), stacked(most)])

    def _all(self, tensor: Any) -> Any:
        rank = tensor.shape.rank
        if rank not in self._axes:
            self._axes[rank] = tf.constant(list(range(rank)), tf.int32)
        return self._axes[rank]


def stacked(scalars: Sequence[Any]) -> Any:
    """Scalars of one dtype as a vector of float64."""
    return tf.cast(tf.stack(scalars), tf.float64) if scalars else tf.zeros((0,), tf.float64)


def relative_least(ranges: np.ndarray) -> np.ndarray:
    """The least element relative to the largest magnitude; 0 where all elements are 0."""
    least, most = ranges
    magnitude = np.maximum(np.abs(least), np.abs(most))
    relative: np.ndarray = np.divide(least, magnitude, out=np.zeros_like(least), where=magnitude != 0)
    return relative


def largest(tensor: Any, count: int) -> tuple[Any, Any, Any]:
    """The `count` largest elements, as values, places among `count` rows, and those rows: the largest elements lie in
    the rows whose maxima are the largest, so that the rest is only read once."""
    width = tensor.shape[-1] if tensor.shape.rank else 1
    rows = tf.reshape(tensor, (-1, width))
    _, chosen = tf.math.top_k(tf.reduce_max(rows, axis=1), min(count, rows.shape[0]), sorted=False)
    few = tf.reshape(tf.gather(rows, chosen), (-1,))
    values, places = tf.math.top_k(few, min(count, math.prod(few.shape)))
    return values, places, chosen
