"""Run a workload's forward pass, and its backward pass, on a given batch with random layers off."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfopt.model.layers import layer_tree
from tfopt.workload.device import Placement
from tfopt.workload.drift.computed import Computed, Output
from tfopt.workload.drift.decisions import decisions, names_of
from tfopt.workload.drift.measures import TINY
from tfopt.workload.drift.still import random_ops, still
from tfopt.workload.failures import StepUnsound, explained
from tfopt.workload.graph import StepGraph
from tfopt.workload.scopes import Scopes
from tfopt.workload.step import Step, gradient_step, has_own_step, inference_step
from tfopt.workload.workload import Workload

__all__ = ["forward", "probe"]

Arguments = tuple[Any, Any, Any]


def probe(workload: Workload, arguments: Arguments, placement: Placement, precision: str | None) -> Computed:
    """What the workload computes on one batch; its gradients where it trains by Keras's own step.

    The moving statistics of BatchNormalization are those of the training pass afterwards. Raises RunFailed.
    """
    tiny = TINY[(precision or "float32").removeprefix("mixed_")]
    model = workload.model
    with still(model):
        step = forward(workload, placement)
        with explained("the forward pass", StepUnsound):
            outputs = _outputs(model, step(*arguments))
            drawn = _random(step, arguments)
        if not workload.step.trains or has_own_step(model):
            return Computed(outputs, tiny=tiny, random_ops=drawn)
        step = gradient_step(
            model, Scopes(layer_tree(model)), placement, xla=workload.xla, eager=workload.step.eager
        )
        with explained("forward and backward pass", StepUnsound):
            loss, scale, gradients = step(*arguments)
            drawn = tuple(dict.fromkeys((*drawn, *_random(step, arguments))))
    return Computed(outputs, float(loss), _by_layer(model, gradients), float(scale), tiny, drawn)


def forward(workload: Workload, placement: Placement) -> Step:
    """The forward pass with `training=False`, compiled as the workload's step is."""
    if not workload.step.trains:
        return workload.step
    model = workload.model
    return inference_step(model, Scopes(layer_tree(model)), placement, xla=workload.xla, eager=workload.step.eager)


def _random(step: Step, arguments: Arguments) -> tuple[str, ...]:
    return random_ops(StepGraph(step.concrete(arguments)).types())


def _by_layer(model: Any, gradients: Sequence[Any]) -> dict[tuple[str, str], list[Any]]:
    """The gradients that there are, under the first layer of the tree that owns the variable."""
    owners = {
        id(variable): (node.path, node.type)
        for node in reversed(layer_tree(model))
        for variable in getattr(node.layer, "_trainable_variables", ())
    }
    grouped: dict[tuple[str, str], list[Any]] = {}
    for variable, gradient in zip(model.trainable_weights, gradients, strict=True):
        if gradient is not None:
            owner = owners.get(id(variable), (str(model.name), type(model).__name__))
            grouped.setdefault(owner, []).append(_array(gradient))
    return grouped


def _outputs(model: Any, result: Any) -> tuple[Output, ...]:
    """Those outputs that are numbers."""
    tensors = [getattr(tensor, "flat_values", getattr(tensor, "values", tensor)) for tensor in keras.tree.flatten(result)]
    kinds = decisions(model, len(tensors))
    outputs = []
    for name, tensor, (decides, threshold) in zip(names_of(model, result), tensors, kinds, strict=True):
        if tensor.dtype.is_floating or tensor.dtype.is_integer:
            values = np.atleast_1d(_array(tensor))
            outputs.append(Output(name, values, decides and (threshold is not None or values.shape[-1] > 1), threshold))
    return tuple(outputs)


def _array(tensor: Any) -> Any:
    """A numpy array; numpy has no bfloat16 of its own."""
    return (tf.cast(tensor, "float32") if tensor.dtype == tf.bfloat16 else tensor).numpy()
