"""Scales of tensors in a normalised trace: each is kept near 1, and the logarithm of what it was divided by is kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from tfopt.pathways.nodes import Source

__all__ = ["Entangled", "common_scale", "no_scale"]


class Entangled(BaseException):
    """Python between the layers joins tensors of different scales, or a constant with them: the trace cannot be
    normalised. (No `Exception`: Keras would put the arguments of the call into its message.)"""


def no_scale() -> Any:
    """The logarithm of 1."""
    return tf.zeros((), tf.float64)


def common_scale(found: Sequence[Sequence[Source]], dtype: Any) -> tuple[Any, list[Any]]:
    """Of a node's inputs, each with what made it: the largest scale, and what brings each of them there (None:
    nothing).

    Raises:
        Entangled: an input was made of tensors of different scales; or of none of the trace, beside others: whether
            such a constant is added, and has to be scaled, or multiplies is not known.
    """
    scales = []
    for sources in found:
        different = list({id(source.log_scale): source.log_scale for source in sources}.values())
        if len(different) > 1:
            raise Entangled
        scales.append(different[0] if different else None)
    given = list({id(scale): scale for scale in scales if scale is not None}.values())
    if given and None in scales:
        raise Entangled
    if len(given) <= 1:
        return (given[0] if given else no_scale()), [None] * len(found)
    common = tf.reduce_max(tf.stack(given))
    return common, [tf.cast(tf.exp(each - common), dtype) for each in scales]
