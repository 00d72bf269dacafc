"""What one way of running a model computes on a batch: outputs, loss and gradients, random layers off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfopt.model.layers import layer_tree
from tfopt.workload.drift.measures import TINY
from tfopt.workload.drift.still import random_ops, still
from tfopt.workload.failures import StepUnsound, explained
from tfopt.workload.graph import StepGraph
from tfopt.workload.scopes import Scopes
from tfopt.workload.step import Step, gradient_step, has_own_step, inference_step
from tfopt.workload.targets import infer_loss, loss_name
from tfopt.workload.workload import Workload

__all__ = ["Output", "Probe", "decisions", "forward", "output_names", "probe"]

Threshold = float | None


@dataclass(frozen=True)
class Output:
    """One output's values. `decides` is whether it chooses: among classes (`threshold` None), or on which side of the
    threshold it is."""

    name: str
    values: Any
    decides: bool
    threshold: Threshold


@dataclass(frozen=True)
class Probe:
    """What was computed. `gradients` has the arrays of each layer's own weights, by path and type, multiplied by
    `scale`; `tiny` is the smallest normal number of the precision that computed them."""

    outputs: tuple[Output, ...]
    loss: float | None
    scale: float
    tiny: float
    gradients: dict[tuple[str, str], list[Any]]
    random_ops: tuple[str, ...]


def probe(workload: Workload, arguments: tuple[Any, Any, Any], precision: str | None) -> Probe:
    """Run the forward pass, and where the workload trains also forward and backward, on one batch.

    BatchNormalization's moving statistics are those of the training pass afterwards. Raises RunFailed.
    """
    with still(workload.model):
        step = forward(workload)
        with explained("the forward pass", StepUnsound):
            outputs = _outputs(workload, step(*arguments))
            drawn = _random(step, arguments)
        tiny = TINY[(precision or "float32").removeprefix("mixed_")]
        if not workload.step.trains or has_own_step(workload.model):
            return Probe(outputs, None, 1.0, tiny, {}, drawn)
        model = workload.model
        step = gradient_step(model, Scopes(layer_tree(model)), _placement(workload), **_program(workload))
        with explained("forward and backward pass", StepUnsound):
            loss, scale, gradients = step(*arguments)
            drawn = (*drawn, *(op for op in _random(step, arguments) if op not in drawn))
        return Probe(outputs, float(loss), float(scale), tiny, _by_layer(model, gradients), drawn)


def forward(workload: Workload) -> Step:
    """The forward pass with `training=False`, compiled as the workload's step is."""
    if not workload.step.trains:
        return workload.step
    model = workload.model
    return inference_step(model, Scopes(layer_tree(model)), _placement(workload), **_program(workload))


def _placement(workload: Workload) -> Any:
    return workload.step.placement


def _program(workload: Workload) -> dict[str, bool]:
    return {"xla": workload.xla, "eager": workload.step.eager}


def _random(step: Step, arguments: tuple[Any, Any, Any]) -> tuple[str, ...]:
    return random_ops(type_ for type_, _, _ in StepGraph(step.concrete(arguments)).nodes())


def _by_layer(model: Any, gradients: Sequence[Any]) -> dict[tuple[str, str], list[Any]]:
    """The gradients that exist, with the first layer of the tree that owns the variable."""
    owners = {
        id(variable): (node.path, node.type)
        for node in reversed(layer_tree(model))
        for variable in getattr(node.layer, "_trainable_variables", ())
    }
    grouped: dict[tuple[str, str], list[Any]] = {}
    for variable, gradient in zip(model.trainable_weights, gradients, strict=True):
        if gradient is not None:
            owner = owners.get(id(variable), (str(model.name), type(model).__name__))
            grouped.setdefault(owner, []).append(gradient.numpy())
    return grouped


def _outputs(workload: Workload, result: Any) -> tuple[Output, ...]:
    tensors = keras.tree.flatten(result)
    kinds = decisions(workload.model, len(tensors))
    names = output_names(workload.model, result)
    return tuple(
        Output(name, values, decides and (threshold is not None or values.shape[-1] > 1), threshold)
        for name, tensor, (decides, threshold) in zip(names, tensors, kinds, strict=True)
        if (values := _numbers(tensor)) is not None
    )


def _numbers(tensor: Any) -> Any | None:
    """The values of a tensor of numbers, of a ragged or sparse one those that it holds."""
    tensor = getattr(tensor, "flat_values", getattr(tensor, "values", tensor))
    if not (tensor.dtype.is_floating or tensor.dtype.is_integer):
        return None
    return np.atleast_1d(tf.cast(tensor, "float32").numpy() if tensor.dtype.is_floating else tensor.numpy())


def output_names(model: Any, result: Any) -> list[str]:
    """A name for each tensor of the model's outputs."""
    flat = keras.tree.flatten_with_path(result)
    known = getattr(model, "output_names", None)
    if known and len(known) == len(flat):
        return [str(name) for name in known]
    return [".".join(map(str, path)) or "output" for path, _ in flat]


def decisions(model: Any, count: int) -> list[tuple[bool, Threshold]]:
    """For each of `count` outputs: whether it decides between classes, and by which threshold (None: the largest)."""
    if not isinstance(model, keras.Model):
        return [(False, None)] * count
    loss = getattr(model, "loss", None)
    if loss is None:
        loss = infer_loss(model)[0]
    parts = list(loss.values()) if isinstance(loss, dict) else list(loss) if isinstance(loss, list | tuple) else [loss]
    parts = parts if len(parts) == count else [parts[0] if len(parts) == 1 else None] * count
    return [_decision(part) for part in parts]


def _decision(loss: Any) -> tuple[bool, Threshold]:
    name = loss_name(loss)
    if "categorical" in name:
        return True, None
    if name.startswith("binary"):
        return True, 0.0 if _from_logits(loss) else 0.5
    return False, None


def _from_logits(loss: Any) -> bool:
    return bool(getattr(loss, "from_logits", False) or getattr(loss, "_fn_kwargs", {}).get("from_logits", False))
