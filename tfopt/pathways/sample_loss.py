"""The loss of a model on samples, as a function of some of its weights: compiled once, added up over all batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfopt.errors import InputError, RunFailed, UsageError
from tfopt.pathways.inferring import fine_dtype, inferring
from tfopt.pathways.losses import chosen_loss, loss_of
from tfopt.pathways.samples import samples_of
from tfopt.pathways.surrogate import in_dtype
from tfopt.wording import listed
from tfopt.workload.failures import explained

__all__ = ["Batch", "SampleLoss", "gradients"]

Batch = Callable[[Sequence[Any]], Any]
"""The loss of one batch, a scalar, at the values of the weights that it is given."""


class SampleLoss:
    """Runs as `inferring` says. Nothing of the model is changed."""

    def __init__(
        self,
        model: Any,
        weights: Sequence[Any],
        x: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        batch_size: int = 32,
        loss: Any = None,
    ) -> None:
        """See `weight_saliency`; `weights` are variables of the model, trainable or not. Batches of 1 mean gradients of
        single samples: a model that fixes another size is refused. `sample_weight` is an array, as `fit` takes it."""
        if y is None:
            raise UsageError("saliency needs targets: without them there is no loss", "give x and y")
        self.samples = samples_of(model, x, y, batch_size=batch_size)
        size = self.samples.batch_size
        if size > 1 == batch_size or (self.samples.fixed and self.samples.count % size):
            raise InputError(
                f"the model takes batches of {size} samples and nothing smaller",
                f"give a multiple of {size} samples, and batches of so many",
            )
        self._model, self._weights = model, list(weights)
        self._dtype = fine_dtype(model)
        self._sample_weight = None if sample_weight is None else np.asarray(sample_weight)
        self._first = self._cut(np.arange(size))
        with explained("computing the loss"):
            self._loss = loss_of(model, chosen_loss(model, loss), *self._first[:2], training=False)

    def mean(
        self,
        of: Callable[[Batch, Sequence[Any]], Sequence[Any]],
        progress: Callable[[float], None] = lambda done: None,
    ) -> list[np.ndarray]:
        """The mean over samples of `of(loss, values)`: for each batch a tensor per weight, of its shape, where `values`
        are those of the weights. A batch counts by its samples.

        Raises RunFailed where the model does not run, or a mean is not finite.
        """
        totals = [tf.Variable(tf.zeros(variable.shape, tf.float64)) for variable in self._weights]

        def add(share: Any, *batch: Any) -> None:
            values = self._values()
            for total, term in zip(totals, of(lambda at: self._at(at, *batch), values), strict=True):
                total.assign_add(share * tf.cast(term, tf.float64))

        with explained("computing the loss"):
            compiled = tf.function(
                add, input_signature=(tf.TensorSpec((), tf.float64), *self._signature()), autograph=False
            )
            done = 0
            for numbers in self.samples.batches():
                compiled(tf.constant(len(numbers) / self.samples.count, tf.float64), *self._cut(numbers))
                done += len(numbers)
                progress(done / self.samples.count)
        found = [total.numpy() for total in totals]
        wrong = [
            variable.path for variable, array in zip(self._weights, found, strict=True) if not np.isfinite(array).all()
        ]
        if wrong:
            raise RunFailed(
                f"gradients of {listed(wrong)} are not finite", "tfopt.health says where values are too large"
            )
        return found

    def _values(self) -> list[Any]:
        return [tf.cast(variable.value, self._dtype) for variable in self._weights]

    def _at(self, weights: Sequence[Any], x: Any, y: Any, *sample_weight: Any) -> Any:
        with inferring(self._model, values=list(zip(self._weights, weights, strict=True))) as call:
            return self._loss(in_dtype(x, self._dtype), y, call(x), *sample_weight)

    def _cut(self, numbers: np.ndarray) -> tuple[Any, ...]:
        """Inputs, targets and, if there are any, weights of these samples."""
        cut = self.samples.cut(numbers)
        return cut if self._sample_weight is None else (*cut, tf.constant(self._sample_weight[numbers]))

    def _signature(self) -> Any:
        """The arguments' shapes, with a free batch, so that a smaller last batch does not compile anything again."""
        fixed = self.samples.fixed
        return keras.tree.map_structure(
            lambda tensor: tf.TensorSpec(tensor.shape if fixed else (None, *tensor.shape[1:]), tensor.dtype),
            self._first,
        )


def gradients(loss: Batch, values: Sequence[Any]) -> list[Any]:
    """Of the loss by the weights, at their values; zeros where it does not depend on one."""
    with tf.GradientTape() as tape:
        tape.watch(values)
        total = loss(values)
    return list(tape.gradient(total, values, unconnected_gradients=tf.UnconnectedGradients.ZERO))
