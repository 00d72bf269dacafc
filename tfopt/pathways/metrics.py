"""Whether predictions are right, where a loss is one of classes, as tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from tfopt.workload.targets import loss_name

__all__ = ["accuracy"]


def accuracy(loss: Any, y: Any, outputs: Any) -> Any:
    """The share of predictions that are right, a float64 scalar; NaN where a model has several outputs, or its loss is
    not one of classes."""
    targets, predictions = keras.tree.flatten(y), keras.tree.flatten(outputs)
    right = _RIGHT.get(loss_name(loss)) if len(predictions) == 1 else None
    if right is None:
        return tf.constant(float("nan"), tf.float64)
    return tf.reduce_mean(tf.cast(right(keras.losses.get(loss), targets[0], predictions[0]), tf.float64))


def _class(loss: Any, target: Any, prediction: Any) -> Any:
    number = tf.cast(target, tf.int64)
    if len(number.shape) == len(prediction.shape):
        number = tf.squeeze(number, -1)
    return tf.equal(number, tf.argmax(prediction, -1))


def _one_of(loss: Any, target: Any, prediction: Any) -> Any:
    return tf.equal(tf.argmax(target, -1), tf.argmax(prediction, -1))


def _either(loss: Any, target: Any, prediction: Any) -> Any:
    threshold = 0.0 if getattr(loss, "from_logits", False) else 0.5
    return tf.equal(tf.reshape(target, tf.shape(prediction)) > 0.5, prediction > threshold)


_RIGHT: dict[str, Callable[[Any, Any, Any], Any]] = {
    "sparse_categorical_crossentropy": _class,
    "categorical_crossentropy": _one_of,
    "categorical_focal_crossentropy": _one_of,
    "binary_crossentropy": _either,
    "binary_focal_crossentropy": _either,
}
