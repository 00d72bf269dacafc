"""BatchNormalization's moving statistics, measured again: a pruned network has others than the dense one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from tfopt.errors import RunFailed
from tfopt.model.patching import patching
from tfopt.pruning.training_data import TrainingData
from tfopt.report.progress import ProgressCallback, silent
from tfopt.workload.data import unpacked

__all__ = ["recalibrate"]


def recalibrate(model: Any, data: TrainingData, progress: ProgressCallback = silent) -> int:
    """Set the moving means and variances of all BatchNormalization layers to the averages over one epoch of what their
    batches have, each counted by its examples. Everything else computes as in inference and is left as it is; frozen
    layers are measured too, since what comes to them has changed as well.

    Returns how many layers there are; RunFailed where a statistic is not finite.
    """
    layers = [each for each in model._flatten_layers() if isinstance(each, keras.layers.BatchNormalization)]
    if not layers:
        return 0
    with patching() as patch:
        for layer in layers:
            patch(layer, "_trainable", True)
            patch(layer, "momentum", layer.momentum)
            patch(layer, "call", _averaging(layer, layer.call))
        run = tf.function(lambda x: model(x, training=False), autograph=False, reduce_retracing=True)
        for number, batch in enumerate(data.epoch(0)):
            progress("measuring batch statistics", number / data.steps if data.steps else None)
            run(unpacked(batch)[0])
    for layer in layers:
        if not all(bool(tf.reduce_all(tf.math.is_finite(each))) for each in (layer.moving_mean, layer.moving_variance)):
            raise RunFailed(f"the batch statistics of {layer.path} are not finite", "check the data and the weights")
    return len(layers)


def _averaging(layer: Any, call: Callable[..., Any]) -> Callable[..., Any]:
    """The layer's call in training, with the momentum that makes the moving statistics averages of all so far."""
    seen = tf.Variable(0.0, dtype="float64", trainable=False)

    def averaged(inputs: Any, training: Any = None, **kwargs: Any) -> Any:
        before = seen.read_value()
        after = seen.assign_add(tf.cast(tf.shape(inputs)[0], "float64"))
        momentum = tf.cast(before / after, keras.backend.result_type(inputs.dtype, "float32"))
        object.__setattr__(layer, "momentum", momentum)  # put back with everything else
        return call(inputs, training=True, **kwargs)

    return averaged
