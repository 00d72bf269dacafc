"""The loss of a model, and its accuracy where targets are classes, as tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfopt.workload.targets import infer_loss, loss_name

__all__ = ["Measure", "measure", "metric_name"]

Measure = Callable[[Any, Any], tuple[Any, Any]]
"""Is given targets and outputs; returns per sample the loss (one number where the loss is of the whole batch) and
whether it is right (None where targets are no classes; a mean, where there are several), float64."""


def measure(model: Any, loss: Any = None) -> Measure:
    """`loss` by sample; by default the loss that the model was compiled with, else one that fits its outputs.
    Several outputs' losses are added up; loss weights and regularization do not count."""
    chosen = _chosen(model, loss)
    names = list(getattr(model, "output_names", None) or ())

    def measured(y: Any, outputs: Any) -> tuple[Any, Any]:
        targets, predictions = keras.tree.flatten(y), keras.tree.flatten(outputs)
        losses = [keras.losses.get(each) for each in _each(chosen, names, len(predictions))]
        terms = [
            _by_sample(_unreduced(one, target, prediction))
            for one, target, prediction in zip(losses, targets, predictions, strict=True)
            if one is not None
        ]
        right = _right(losses[0], targets[0], predictions[0]) if len(losses) == 1 else None
        return tf.add_n(terms), None if right is None else _by_sample(right)

    return measured


def metric_name(model: Any, loss: Any = None) -> str:
    """What the loss is called."""
    return loss_name(_chosen(model, loss))


def _chosen(model: Any, loss: Any) -> Any:
    own = getattr(model, "loss", None) if loss is None else loss
    return infer_loss(model)[0] if own is None else own


def _unreduced(loss: Any, target: Any, prediction: Any) -> Any:
    """Without the reduction of a `keras.losses.Loss`."""
    return loss.call(target, prediction) if isinstance(loss, keras.losses.Loss) else loss(target, prediction)


def _by_sample(values: Any) -> Any:
    values = tf.cast(values, tf.float64)
    return tf.reduce_mean(values, list(range(1, len(values.shape))))


def _each(loss: Any, names: Sequence[str], count: int) -> list[Any]:
    if isinstance(loss, Mapping):
        return [loss.get(name) for name in names]
    return list(loss) if isinstance(loss, list | tuple) else [loss] * count


def _right(loss: Any, target: Any, prediction: Any) -> Any | None:
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
