"""Run a workload's forward pass, and its backward pass, on a given batch with random layers off."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
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

__all__ = ["Probe", "forward"]

Arguments = tuple[Any, Any, Any]


@dataclass(frozen=True)
class Probe:
    """The forward pass of a workload and, where it trains by Keras's own step, forward and backward pass (else None).

    Called with a batch it gives what they compute; variables are as before then, moving statistics too.
    """

    model: Any
    forward: Step
    backward: Step | None
    tiny: float

    @classmethod
    def of(cls, workload: Workload, placement: Placement, precision: str | None) -> Probe:
        """The probe of a workload that computes in `precision`."""
        model = workload.model
        backward = None
        if workload.step.trains and not has_own_step(model):
            scopes = Scopes(layer_tree(model))
            backward = gradient_step(model, scopes, placement, xla=workload.xla, eager=workload.step.eager)
        tiny = TINY[(precision or "float32").removeprefix("mixed_")]
        return cls(model, forward(workload, placement), backward, tiny)

    def __call__(self, arguments: Arguments) -> Computed:
        """Outputs, loss and gradients for one batch, random layers off. Raises RunFailed."""
        with still(self.model), _restored(self.model):
            with explained("the forward pass", StepUnsound):
                outputs = _outputs(self.model, self.forward(*arguments))
            if self.backward is None:
                return Computed(outputs, tiny=self.tiny, random_ops=self._drawn(arguments))
            with explained("forward and backward pass", StepUnsound):
                loss, scale, gradients = self._unscaled_soundly(self.backward, arguments)
            drawn = self._drawn(arguments)
            return Computed(outputs, float(loss), _by_layer(self.model, gradients), float(scale), self.tiny, drawn)

    def _unscaled_soundly(self, backward: Step, arguments: Arguments) -> Any:
        """Loss, scale and gradients at the largest loss scale that leaves no gradient infinite, as training finds it:
        by halving. The scale is put back."""
        result = backward(*arguments)
        scale = getattr(self.model.optimizer, "dynamic_scale", None)
        if scale is None:
            return result
        before = float(scale)
        while not _all_finite(result[2]) and float(scale) > 1:
            scale.assign(scale / 2)
            result = backward(*arguments)
        scale.assign(before)
        return result

    def _drawn(self, arguments: Arguments) -> tuple[str, ...]:
        steps = [step for step in (self.forward, self.backward) if step is not None]
        return random_ops(node.op for step in steps for _, node in StepGraph(step.concrete(arguments)).live())


def _all_finite(gradients: Sequence[Any]) -> bool:
    return all(bool(tf.reduce_all(tf.math.is_finite(gradient))) for gradient in gradients if gradient is not None)


@contextlib.contextmanager
def _restored(model: Any) -> Iterator[None]:
    """Put back what a pass changes: moving statistics, and the states of random generators, which recurrent layers
    draw from without using it."""
    kept = [(variable, variable.numpy()) for variable in getattr(model, "non_trainable_variables", ())]
    try:
        yield
    finally:
        for variable, value in kept:
            variable.assign(value)


def forward(workload: Workload, placement: Placement) -> Step:
    """The forward pass with `training=False`, compiled as the workload's step is."""
    if not workload.step.trains:
        return workload.step
    model = workload.model
    return inference_step(model, Scopes(layer_tree(model)), placement, xla=workload.xla, eager=workload.step.eager)


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
    tensors = [
        getattr(tensor, "flat_values", getattr(tensor, "values", tensor)) for tensor in keras.tree.flatten(result)
    ]
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
