"""The loss of a model, and its accuracy where targets are classes, as tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfopt.workload.targets import infer_loss, loss_name

__all__ = ["Measure", "measure", "metric_name"]

Measure = Callable[[Any, Any], tuple[Any, Any]]
"""Is given targets and outputs; returns the loss and the accuracy (NaN where there is none), float64 scalars."""


def measure(model: Any, loss: Any = None) -> Measure:
    """The mean of `loss` over a batch; by default of the loss that the model was compiled with, else of one that fits
    its outputs. Several outputs' losses are added up; loss weights and regularization do not count."""
    chosen = _chosen(model, loss)
    names = list(getattr(model, "output_names", None) or ())

    def measured(y: Any, outputs: Any) -> tuple[Any, Any]:
        targets, predictions = keras.tree.flatten(y), keras.tree.flatten(outputs)
        losses = [keras.losses.get(each) for each in _each(chosen, names, len(predictions))]
        terms = [
            tf.cast(tf.reduce_mean(_by_sample(one, target, prediction)), tf.float64)
            for one, target, prediction in zip(losses, targets, predictions, strict=True)
            if one is not None
        ]
        accuracy = _accuracy(losses[0], targets[0], predictions[0]) if len(losses) == 1 else None
        nothing = tf.constant(float("nan"), tf.float64)
        return tf.add_n(terms), nothing if accuracy is None else tf.reduce_mean(tf.cast(accuracy, tf.float64))

    return measured


def metric_name(model: Any, loss: Any = None) -> str:
    """What the loss is called."""
    return loss_name(_chosen(model, loss))


def _chosen(model: Any, loss: Any) -> Any:
    own = getattr(model, "loss", None) if loss is None else loss
    return infer_loss(model)[0] if own is None else own


def _by_sample(loss: Any, target: Any, prediction: Any) -> Any:
    """Without the reduction of a `keras.losses.Loss`, so that batches of different lengths count by their samples."""
    return loss.call(target, prediction) if isinstance(loss, keras.losses.Loss) else loss(target, prediction)


def _each(loss: Any, names: Sequence[str], count: int) -> list[Any]:
    if isinstance(loss, Mapping):
        return [loss.get(name) for name in names]
    return list(loss) if isinstance(loss, list | tuple) else [loss] * count


def _accuracy(loss: Any, target: Any, prediction: Any) -> Any | None:
    """Which predictions are right; None where the loss is none of classes."""
    right = _RIGHT.get(loss_name(loss))
    return None if right is None else right(loss, target, prediction)


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
