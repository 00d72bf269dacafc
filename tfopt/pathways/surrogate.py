"""A model as a surrogate, compiled: one forward and one backward pass give every sum that influence is made of."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from tfopt.model.layers import layer_tree, own_variables
from tfopt.pathways.heads import heads_of, last_squashes
from tfopt.pathways.interception import intercepted
from tfopt.pathways.nodes import INPUT, Source
from tfopt.pathways.plan import Plan
from tfopt.pathways.readout import read
from tfopt.pathways.rules.activations import gate_function, layer_activation, replacements
from tfopt.pathways.rules.layers import pooling_sums
from tfopt.pathways.rules.registry import Rule, role_of, rule_for
from tfopt.pathways.scales import common_scale, no_scale
from tfopt.pathways.summing import Taken, summed
from tfopt.pathways.sums import Sums, Weight
from tfopt.pathways.tracing import Tracing
from tfopt.pathways.untuned import as_traced
from tfopt.workload.peak.measure import added_bytes

__all__ = ["Part", "Surrogate", "in_dtype"]

Objective = Callable[..., tuple[Any, Mapping[str, Any]]]
"""Is given the model's outputs (before a last softmax or sigmoid) and further arguments; returns the scalar whose
gradients are taken, and what else is to be told."""


Part = Literal["whole", "first", "rest"]

PORTIONS: Mapping[Part, tuple[float, float]] = {"whole": (1.0, 0.0), "first": (0.0, 1.0), "rest": (1.0, -1.0)}
"""What everything that paths start from is multiplied with: the first, plus the second times a random number."""


class Surrogate:
    """A model under one `Plan`, traced when it is first run and compiled from then on.

    Args:
        model: a built Keras model. Its weights are read when it runs, and never written.
        plan: what to trace.
        objective: what the gradients are of.
        arrays: give the sums of each element of each variable.
        top: how many of the largest elements of each variable to give.
        weights: take gradients with respect to weights; where not, of what is added alone.
    """

    def __init__(
        self,
        model: Any,
        plan: Plan,
        objective: Objective,
        *,
        arrays: bool = False,
        top: int = 0,
        weights: bool = True,
    ) -> None:
        self.model, self.plan = model, plan
        self._objective, self._arrays, self._top, self._with_weights = objective, arrays, top, weights
        tree = layer_tree(model)
        self._paths = {id(node.layer): node.path for node in reversed(tree)}
        nodes = {node.path: node for node in tree}
        self.weights = tuple(
            Weight(variable, variable.path, path, role_of(nodes[path].layer, variable))
            for path, variables in own_variables(tree).items()
            for variable in variables
        )
        owners = {id(variable): nodes[path].layer for path, found in own_variables(tree).items() for variable in found}
        rules = {each: rule_for(type(owner)) for each, owner in owners.items()}
        self._unsaid = frozenset(
            id(weight.variable)
            for weight in self.weights
            if weight.role == "unknown" and rules[id(weight.variable)] is None
        )
        self._unruled = frozenset(
            id(weight.variable)
            for weight in self.weights
            if weight.role in ("weight", "unknown") and not _is_own(rules[id(weight.variable)])
        )
        self.loose = tuple(
            number
            for number, weight in enumerate(self.weights)
            if weight.role in ("weight", "unknown") and isinstance(owners[id(weight.variable)], keras.Model)
        )
        """The numbers of weights that no layer holds: Python in the model's own `call` uses them."""
        self._heads = heads_of(model)
        self._linear: frozenset[int] = frozenset()
        self._taken: Taken | None = None
        self._traced: Tracing | None = None
        self._compiled: Callable[..., Any] | None = None
        self.peak_bytes: int | None = None
        """What a run added at most to the memory in use; None where nobody counts, or too little was added to count."""

    @property
    def chosen(self) -> tuple[int, ...]:
        """The numbers of the variables that the last trace took gradients of."""
        return self._taken.chosen if self._taken is not None else ()

    def run(
        self,
        inputs: Any,
        *further: Any,
        part: Part = "whole",
        scale: float = 1.0,
        masks: Mapping[int, np.ndarray] | None = None,
    ) -> Sums:
        """One pass.

        Args:
            inputs: a structure of tensors, as the model's `call` takes it.
            further: further arguments for the objective, tensors.
            part: without data: all that paths start from, or a random part of it (for each number between none and
                all), or the rest.
            scale: what all that paths start from is multiplied with.
            masks: arrays by a variable's number, of its shape, that it is multiplied with.
        """
        values = [weight.variable.value for weight in self.weights]
        for number, mask in (masks or {}).items():
            values[number] = tf.convert_to_tensor(values[number]) * tf.cast(mask, values[number].dtype)
        portions = tf.constant(PORTIONS[part], self.plan.dtype) * scale
        arguments = (in_dtype(inputs, self.plan.dtype), values, portions, further)
        first = self._compiled is None
        if self._compiled is None:
            self._compiled = self._compile(arguments)
        with (
            as_traced() if first and self.plan.free else contextlib.nullcontext(),
            added_bytes(portions.device.rpartition("device:")[2]) as added,
        ):
            sums = self._read(self._compiled(*arguments))
        if added.bytes:
            self.peak_bytes = max(added.bytes, self.peak_bytes or 0)
        return sums

    def _compile(self, arguments: tuple[Any, ...]) -> Any:
        compiled = tf.function(self._pass, autograph=False)
        compiled.get_concrete_function(*arguments)
        assert self._traced is not None
        last = last_squashes(self._traced.squashes, self._outputs, self._traced.unscaled)
        if last - self._linear:  # a model of Python's: only its graph tells that a softmax was the last thing it did
            self._linear = last
            compiled = tf.function(self._pass, autograph=False)
            compiled.get_concrete_function(*arguments)
        return compiled

    # ---- inside the trace

    def _pass(self, inputs: Any, values: Sequence[Any], portions: Any, further: Any) -> dict[str, Any]:
        unit = portions[0] + portions[1] / 2
        tracing = Tracing(
            self.plan, self._paths, self._heads, self._unsaid, self._unruled, self._linear, unit, portions
        )
        inputs = keras.tree.map_structure(lambda leaf: tracing.portion(leaf, INPUT), inputs)
        effective = [self._effective(weight, value) for weight, value in zip(self.weights, values, strict=True)]
        entering = [leaf for leaf in keras.tree.flatten(inputs) if leaf.dtype.is_floating]
        functions = replacements(tracing)
        if self.plan.free and self.plan.maxpool == "sum":
            functions["nn.max_pool"] = pooling_sums
        with tf.GradientTape() as tape:
            tape.watch([entering, [value for value in effective if value.dtype.is_floating]])
            tape.watch(unit)
            tracing.watch = tape.watch
            with intercepted(
                self.model,
                tracing,
                functions=functions,
                attributes={
                    "activation": lambda function: layer_activation(tracing, function),
                    "recurrent_activation": lambda function: gate_function(tracing, function),
                },
                values=[
                    (weight.variable, value * unit if weight.role == "offset" else value)
                    for weight, value in zip(self.weights, effective, strict=True)
                ],
                dtype=self.plan.dtype,
            ) as mapping:
                tracing.values = mapping
                tracing.offsets = {
                    id(weight.variable): value
                    for weight, value in zip(self.weights, effective, strict=True)
                    if weight.role == "offset" and self.plan.constants
                }
                tracing.begin(entering)
                outputs = self.model(inputs, training=False) if _trains(self.model) else self.model(inputs)
            results = [leaf for leaf in keras.tree.flatten(outputs) if leaf.dtype.is_floating]
            last = [tracing.sources_of(result) for result in results]
            self._whole = all(whole for _, whole in last)
            ends = [source for sources, _ in last for source in sources]
            self._outputs = results
            log_scale, results = _at_one_scale(tracing, results, [sources for sources, _ in last])
            total, told = self._objective(results, *further)
            total = tf.cast(total, self.plan.dtype)
            wanted = [
                (number, weight, value)
                for number, (weight, value) in enumerate(zip(self.weights, effective, strict=True))
                if self._asked(weight)
            ]
        out, self._taken = summed(tape, tracing, wanted, unit, total, results, ends, arrays=self._arrays, top=self._top)
        self._traced = tracing
        return {**out, "log_scale": log_scale, "told": told}

    def _effective(self, weight: Weight, value: Any) -> Any:
        """A variable's value in the surrogate."""
        value = tf.convert_to_tensor(value)
        if not value.dtype.is_floating:
            return value
        if self.plan.free and weight.role != "statistic":
            value = tf.abs(value) if weight.role != "offset" or self.plan.constants else tf.zeros_like(value)
        return tf.cast(value, self.plan.dtype)

    def _read(self, out: Mapping[str, Any]) -> Sums:
        assert self._traced is not None
        assert self._taken is not None
        return read(out, self._traced, self._taken, self.weights, whole=self._whole)

    def _asked(self, weight: Weight) -> bool:
        if not keras.backend.is_float_dtype(weight.variable.dtype) or weight.role == "statistic":
            return False
        if weight.role == "offset":
            return self.plan.constants
        return self._with_weights or id(weight.variable) in self._unsaid


def _is_own(rule: Rule | None) -> bool:
    return rule is not None and rule.own


def in_dtype(inputs: Any, dtype: str) -> Any:
    """A structure of tensors, those of floating-point numbers in that dtype."""

    def one(leaf: Any) -> Any:
        tensor = tf.convert_to_tensor(leaf)
        return tf.cast(tensor, dtype) if tensor.dtype.is_floating else tensor

    return keras.tree.map_structure(one, inputs)


def _trains(model: Any) -> bool:
    return bool(getattr(model, "_call_has_training_arg", False))


def _at_one_scale(tracing: Tracing, results: list[Any], made: list[list[Source]]) -> tuple[Any, list[Any]]:
    """The outputs at a common scale, in one dtype, and the scale's logarithm."""
    results = [tf.cast(result, tracing.dtype) for result in results]
    if not tracing.plan.normalised:
        return no_scale(), results
    common, factors = common_scale(made, tracing.dtype)
    return common, [
        result if factor is None else result * factor for result, factor in zip(results, factors, strict=True)
    ]
