"""All of the user's data, epoch by epoch, in an order that a resumed run sees again."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfopt.errors import InputError, RunFailed, UsageError
from tfopt.pathways.samples import samples_of
from tfopt.records.base import Note
from tfopt.workload.batch import DEFAULT_BATCH
from tfopt.workload.batching import Targets, batch_for
from tfopt.workload.compilation import compile_model
from tfopt.workload.data import ending_dataset_of, unpacked
from tfopt.workload.failures import explained
from tfopt.workload.options import Options
from tfopt.workload.samples import gathered
from tfopt.workload.step import has_own_step

__all__ = ["TrainingData", "from_arrays", "training_data", "try_loss"]


@dataclass(frozen=True)
class TrainingData:
    """`epoch(number)`, from 0, is a batched `tf.data.Dataset` of (x, y) or (x, y, sample_weight). `examples` and
    `steps` of an epoch are None where nobody knows them before it ends. `notes` say what was assumed."""

    source: str
    examples: int | None
    steps: int | None
    epoch: Callable[[int], Any]
    notes: tuple[Note, ...] = ()


def training_data(model: Any, options: Options) -> TrainingData:
    """What `--data` names: the arrays of a file, in an order that `options.seed` and the epoch's number decide, or the
    data set of a function, whose order is its own: one that shuffles does so anew when a run is resumed. The model is
    compiled as the options say, or as fits its outputs.

    Raises UsageError where there is nothing to train on, InputError where the data do not fit the model or its loss.
    """
    if options.data == "synthetic":
        raise UsageError(
            "random data teach a model nothing", "bring yours with --data FILE.npz or package.module:function"
        )
    notes = tuple(compile_model(model, options))
    targets = Targets(model, model.loss, required=not has_own_step(model))
    if options.data.endswith(".npz"):
        read = gathered(model, options, sys.maxsize, targets)
        size, seed = options.batch_size or DEFAULT_BATCH, options.seed
        found = from_arrays(model, *read.arguments, batch_size=size, seed=seed, source=options.data)
        return replace(found, notes=notes)
    try_loss(model, batch_for(model, options, targets).arguments, options.data)
    dataset = ending_dataset_of(options.data)
    steps = int(dataset.cardinality())
    return TrainingData(options.data, None, steps if steps > 0 else None, lambda number: dataset, notes)


def from_arrays(
    model: Any,
    x: Any,
    y: Any,
    sample_weight: Any = None,
    *,
    batch_size: int = DEFAULT_BATCH,
    seed: int = 0,
    source: str = "arrays",
) -> TrainingData:
    """For a compiled model arrays with the examples first, shuffled anew in each epoch; the last batch of an epoch may
    be smaller unless the model says how large its batches are.

    Raises InputError where they do not fit the model, its loss or each other.
    """
    samples = samples_of(model, x, y, batch_size=batch_size)
    whole = _tuples(
        (samples.x, samples.y) if sample_weight is None else (samples.x, samples.y, np.asarray(sample_weight))
    )
    if sample_weight is not None and len(whole[-1]) != samples.count:
        raise InputError(f"{samples.count} samples have {len(whole[-1])} weights", "give as many of each")
    if samples.fixed and samples.count < samples.batch_size:
        raise InputError(
            f"{samples.count} samples do not fill the model's batch of {samples.batch_size}", "bring more of them"
        )
    try_loss(model, unpacked(_cut(whole, np.arange(samples.batch_size) % samples.count)), source)
    tensors = keras.tree.map_structure(lambda array: None if array is None else tf.constant(array), whole)

    def epoch(number: int) -> Any:
        order = np.random.default_rng((seed, number)).permutation(samples.count)
        batches = tf.data.Dataset.from_tensor_slices(order).batch(samples.batch_size, drop_remainder=samples.fixed)
        return batches.map(lambda chosen: _cut(tensors, chosen)).prefetch(tf.data.AUTOTUNE)

    count = samples.count
    steps = count // samples.batch_size if samples.fixed else -(-count // samples.batch_size)
    return TrainingData(source, count, steps, epoch)


def _tuples(structure: Any) -> Any:
    """The structure without lists, which `tf.data` would take for tensors."""
    if isinstance(structure, dict):
        return {key: _tuples(value) for key, value in structure.items()}
    return tuple(map(_tuples, structure)) if isinstance(structure, list | tuple) else structure


def _cut(whole: Any, chosen: Any) -> Any:
    return keras.tree.map_structure(lambda array: None if array is None else tf.gather(array, chosen), whole)


def try_loss(model: Any, batch: tuple[Any, Any, Any], source: str) -> None:
    """For a compiled model; InputError where the first batch has no loss, or one that is not a number: then the data do
    not fit."""
    if has_own_step(model):  # it may want anything
        return
    x, y, weight = batch
    try:
        with explained(f"the loss of the first batch of {source}"):
            outputs = model(x, training=False) if model._call_has_training_arg else model(x)
            loss = float(model._compute_loss(x=x, y=y, y_pred=outputs, sample_weight=weight, training=False))
    except RunFailed as error:
        raise InputError(error.message, error.hint) from error
    if not np.isfinite(loss):
        raise InputError(
            f"the loss of the first batch of {source} is not finite", "check that the targets are what the loss wants"
        )
