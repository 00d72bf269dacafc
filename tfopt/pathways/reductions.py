"""Sums and least elements of hundreds of tensors, in few operations of the graph: each costs time to compile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

__all__ = ["Reductions", "stacked"]


class Reductions:
    """Each method gives one number per tensor, stacked. `free`: no number is negative unless something is wrong, so
    that a sum is the sum of magnitudes, and the least ones are of interest."""

    def __init__(self, free: bool) -> None:
        self._free = free
        self._axes: dict[int, Any] = {}

    def sums(self, tensors: Sequence[Any]) -> Any:
        """Sums of all elements."""
        return self._each(tf.raw_ops.Sum, tensors)

    def magnitudes(self, tensors: Sequence[Any]) -> Any:
        """Sums of absolute values."""
        return self.sums(tensors if self._free else [tf.abs(tensor) for tensor in tensors])

    def least(self, tensors: Sequence[Any]) -> Any:
        """The least element relative to the largest magnitude; 0 where all are 0, and on data, where signs differ."""
        if not self._free:
            return tf.zeros((len(tensors),), tf.float64)
        least, most = (self._each(operation, tensors) for operation in (tf.raw_ops.Min, tf.raw_ops.Max))
        return tf.math.divide_no_nan(least, tf.maximum(tf.abs(least), tf.abs(most)))

    def _each(self, operation: Callable[..., Any], tensors: Sequence[Any]) -> Any:
        return stacked([operation(input=tensor, axis=self._all_axes(len(tensor.shape))) for tensor in tensors])

    def _all_axes(self, rank: int) -> Any:
        if rank not in self._axes:
            self._axes[rank] = tf.range(rank)
        return self._axes[rank]


def stacked(scalars: Sequence[Any]) -> Any:
    """One vector in float64."""
    return tf.stack([tf.cast(scalar, tf.float64) for scalar in scalars]) if scalars else tf.zeros((0,), tf.float64)
