"""The metric of a model as it is now, on samples that stay the same: for what changes weights again and again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from tfopt.pathways.losses import chosen_loss, loss_of
from tfopt.pathways.metrics import accuracy
from tfopt.pathways.samples import samples_of
from tfopt.workload.failures import explained
from tfopt.workload.targets import loss_name

__all__ = ["metric_of"]


def metric_of(model: Any, x: Any, y: Any, loss: Any = None, batch_size: int = 32) -> tuple[str, Callable[[], float]]:
    """The metric's name, and what computes it: the accuracy where the loss is one of classes, else the loss. Compiled
    once; the model runs as in inference, and weights are read anew each time.

    Raises:
        InputError: the samples do not fit.
        RunFailed: the model does not run on them.
    """
    samples = samples_of(model, x, y, batch_size=batch_size)
    batches = [(samples.cut(numbers), len(numbers)) for numbers in samples.batches()]
    chosen = chosen_loss(model, loss)
    of_batch = loss_of(model, chosen, *batches[0][0], training=False)

    def measured(x: Any, y: Any) -> Any:
        outputs = model(x, training=False) if model._call_has_training_arg else model(x)
        value = of_batch(x, y, outputs)
        return tf.stack([tf.cast(value, tf.float64), accuracy(chosen.loss, y, outputs)])

    compiled = tf.function(measured, autograph=False)

    def values() -> tuple[float, float]:
        with explained("measuring the metric"):
            found = [np.asarray(compiled(*batch)) for batch, _ in batches]
        mean, right = np.average(found, axis=0, weights=[count for _, count in batches])
        return float(mean), float(right)

    if np.isnan(values()[1]):
        return loss_name(chosen.loss), lambda: values()[0]
    return "accuracy", lambda: values()[1]
