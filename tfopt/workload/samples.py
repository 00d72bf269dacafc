"""Samples of the user's data as one batch, for what looks at a model and does not time it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import keras
import tensorflow as tf

from tfopt.records.profile import InputInfo
from tfopt.workload.batch import Batch, batch_length, bounding_shape
from tfopt.workload.batching import Targets, batch_for
from tfopt.workload.data import dataset_of, unpacked
from tfopt.workload.options import Options

__all__ = ["gathered"]


def gathered(model: Any, options: Options, samples: int, targets: Targets | None) -> Batch:
    """Up to `samples` examples: of a file its first, of a data set those of its first batches, whole. Of synthetic data
    one batch, since more would tell no more.

    Raises UsageError and InputError as `batch_for` does.
    """
    if options.data == "synthetic":
        return batch_for(model, options, targets)
    if options.data.endswith(".npz"):
        return replace(batch_for(model, replace(options, batch_size=samples), targets), notes=())
    checked = batch_for(model, replace(options, batch_size=None), targets)
    kept: list[tuple[Any, Any, Any]] = []
    for element in dataset_of(options.data):
        kept.append(unpacked(element))
        if sum(batch_length(x) for x, *_ in kept) >= samples:
            break
    x, y, sample_weight = map(_joined, zip(*kept, strict=True))
    inputs = tuple(
        InputInfo(name=info.name, shape=bounding_shape(tensor), dtype=info.dtype, values=info.values)
        for info, tensor in zip(checked.inputs, keras.tree.flatten(x), strict=True)
    )
    return Batch(x, y, sample_weight, inputs, batch_length(x), options.data)


def _joined(parts: Sequence[Any]) -> Any:
    return (
        parts[0]
        if len(parts) == 1 or parts[0] is None
        else keras.tree.map_structure(lambda *each: tf.concat(each, 0), *parts)
    )
