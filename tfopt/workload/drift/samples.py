"""The user's data and metric, sample by sample: what a paired comparison needs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfopt.model.inputs import fixed_batch
from tfopt.workload.batch import batch_length
from tfopt.workload.batching import Targets, batch_for
from tfopt.workload.data import dataset_of, unpacked
from tfopt.workload.drift.decisions import decisions, losses_of, names_of
from tfopt.workload.drift.paired import Metrics
from tfopt.workload.fitting import known_specs
from tfopt.workload.options import Options
from tfopt.workload.step import Step
from tfopt.workload.targets import infer_loss, loss_name

__all__ = ["Samples", "evaluate", "samples_of"]

Samples = tuple[tuple[Any, Any], ...]  # batches (x, y)

_MOST_BYTES = 500_000_000


def samples_of(model: Any, options: Options, size: int, limit: int) -> Samples:
    """Batches (x, y) of `size` samples of the user's data, in its order and each once, the last one with what is left,
    up to `limit` samples or half a gigabyte, but at least one batch.

    Empty for synthetic data, whose targets are random, and for data without targets.
    """
    if options.data == "synthetic" or not isinstance(model, keras.Model):
        return ()
    kept: list[tuple[Any, Any]] = []
    samples = held = 0
    for x, y in _batches(model, options, size, limit):
        length, taken = batch_length(x), _bytes((x, y))
        if y is None or not 0 < length <= size:
            break
        if kept and (samples + length > limit or held + taken > _MOST_BYTES):
            break
        kept.append((x, y))
        samples, held = samples + length, held + taken
        if length < size:
            break
    return tuple(kept)


def _batches(model: Any, options: Options, size: int, limit: int) -> Iterator[tuple[Any, Any]]:
    if ":" in options.data:
        for batch in dataset_of(options.data):
            x, y, _ = unpacked(batch)
            yield x, y
        return
    loss = model.loss if getattr(model, "loss", None) is not None else infer_loss(model)[0]
    batch = batch_for(model, replace(options, batch_size=max(size, limit)), Targets(model, loss, required=False))
    if batch.y is None:
        return
    for start in range(0, batch.size, size):
        x, y = keras.tree.map_structure(lambda values, at=start: values[at : at + size], (batch.x, batch.y))
        yield x, y


def _bytes(structure: Any) -> int:
    tensors = (getattr(tensor, "flat_values", tensor) for tensor in keras.tree.flatten(structure))
    return sum(int(tf.size(tensor)) * tensor.dtype.size for tensor in tensors if tensor is not None)


def evaluate(model: Any, step: Step, samples: Samples, deadline: float) -> Metrics:
    """Each metric of each output, per sample; only the first batches where `deadline` (of `time.monotonic`) comes, or
    where a smaller one does and the model's own batch is fixed.

    The accuracy of outputs that decide, and the loss of all that have one, without sample weights.
    """
    found: dict[tuple[str, int], tuple[str, list[Any]]] = {}
    fixed = fixed_batch(known_specs(model))
    for x, y in samples:
        if fixed not in (None, batch_length(x)):
            break
        result = step(x, None, None)
        predicted, targets = keras.tree.flatten(result), keras.tree.flatten(y)
        if len(predicted) == len(targets):
            kinds = zip(decisions(model, len(predicted)), losses_of(model, len(predicted)), strict=True)
            outputs = zip(names_of(model, result), predicted, targets, kinds, strict=True)
            for position, (name, output, target, (kind, loss)) in enumerate(outputs):
                for metric, values in _metrics(output, target, kind, loss):
                    found.setdefault((metric, position), (name, []))[1].append(values)
        if time.monotonic() > deadline:
            break
    return {key: (name, np.concatenate(parts)) for key, (name, parts) in found.items()}


def _metrics(output: Any, target: Any, kind: tuple[bool, float | None], loss: Any) -> Iterator[tuple[str, Any]]:
    predicted = tf.cast(output, "float64")
    decides, threshold = kind
    if decides:
        yield "accuracy", _per_sample(_right(predicted, target, threshold))
    if loss is not None:
        function: Callable[[Any, Any], Any] = getattr(loss, "call", None) or keras.losses.get(loss)
        yield loss_name(loss), _per_sample(function(tf.cast(target, "float64"), predicted))


def _right(predicted: Any, target: Any, threshold: float | None) -> Any:
    """NaN decides nothing, and so is never right."""
    if threshold is not None:
        wanted = tf.reshape(tf.cast(target, "float64") > 0.5, tf.shape(predicted))
        return tf.math.is_finite(predicted) & tf.equal(predicted > threshold, wanted)
    one_hot = target.shape == predicted.shape
    wanted = tf.argmax(target, -1) if one_hot else tf.reshape(tf.cast(target, "int64"), tf.shape(predicted)[:-1])
    return tf.reduce_all(tf.math.is_finite(predicted), -1) & tf.equal(tf.argmax(predicted, -1), wanted)


def _per_sample(values: Any) -> Any:
    """The mean over everything but the batch."""
    array = np.asarray(values, np.float64)
    return array.reshape(len(array), -1).mean(axis=1)
