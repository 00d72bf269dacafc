"""A model as a surrogate, compiled: one forward and one backward pass give every sum that influence is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from tfopt.errors import InputError
from tfopt.model.layers import layer_tree, own_variables
from tfopt.pathways.heads import heads_of, last_squashes
from tfopt.pathways.interception import intercepted
from tfopt.pathways.nodes import INPUT, Edge, Trial
from tfopt.pathways.plan import Plan
from tfopt.pathways.reductions import Reductions, stacked
from tfopt.pathways.rules.activations import gate_function, layer_activation, replacements
from tfopt.pathways.rules.layers import pooling_sums
from tfopt.pathways.rules.registry import Rule, role_of, rule_for
from tfopt.pathways.sums import EdgeSum, Sums, Weight
from tfopt.pathways.tracing import Tracing

__all__ = ["Part", "Surrogate", "raised"]

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

    Raises:
        InputError: `model` is no Keras model.
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
        if not isinstance(model, keras.Model):
            raise InputError(
                "a SavedModel has no layers to look into, only the graph of its signature",
                "give the .keras or HDF5 file that it was exported from",
            )
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
        self.chosen: Sequence[int] = ()
        self._traced: Tracing | None = None
        self._compiled: Callable[..., Any] | None = None

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
        arguments = (raised(inputs, self.plan.dtype), values, portions, further)
        if self._compiled is None:
            self._compile(arguments)
        assert self._compiled is not None
        assert self._traced is not None
        return self._read(self._compiled(*arguments))

    def _compile(self, arguments: tuple[Any, ...]) -> None:
        compiled = tf.function(self._pass, autograph=False)
        compiled.get_concrete_function(*arguments)
        assert self._traced is not None
        last = last_squashes(self._traced.squashes, self._outputs)
        if last - self._linear:  # a model of Python's: only its graph tells that a softmax was the last thing it did
            self._linear = last
            compiled = tf.function(self._pass, autograph=False)
            compiled.get_concrete_function(*arguments)
        self._compiled = compiled

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
            ends = [tracing.sources_of(result) for result in results]
            self._ends = [source for sources, _ in ends for source in sources]
            self._whole = all(whole for _, whole in ends)
            scales, results = _at_one_scale(tracing, results, self.plan)
            total, told = self._objective(results, *further)
            total = tf.cast(total, self.plan.dtype)
        self._traced, self._outputs = tracing, results
        return self._sums(tape, tracing, effective, unit, total, scales, told, results)

    def _effective(self, weight: Weight, value: Any) -> Any:
        """A variable's value in the surrogate."""
        value = tf.convert_to_tensor(value)
        if not value.dtype.is_floating:
            return value
        value = tf.cast(value, self.plan.dtype)
        if weight.role == "statistic" or not self.plan.free:
            return value
        return tf.zeros_like(value) if weight.role == "offset" and not self.plan.constants else tf.abs(value)

    def _sums(
        self,
        tape: Any,
        tracing: Tracing,
        effective: Sequence[Any],
        unit: Any,
        total: Any,
        scales: Any,
        told: Any,
        results: Any,
    ) -> dict[str, Any]:
        consumers: dict[int, int] = {}
        # An output of the model may be what another layer takes, too.
        for source in [*self._ends, *(source for edge in tracing.edges for source in edge.sources)]:
            consumers[id(source)] = consumers.get(id(source), 0) + 1
        split = [edge for edge in tracing.edges if not _alone(edge, consumers)]
        made = [source.tensor for source in tracing.made]
        chosen = [number for number, weight in enumerate(self.weights) if self._asked(weight)]
        weights = [effective[number] for number in chosen]
        units = [unit, *(node.unit for node in tracing.nodes)] if self.plan.constants else []
        sources = [made, [edge.tensor for edge in split], weights, units, tracing.constants]
        gradients = tape.gradient(total, sources)
        connected = np.array([gradient is not None for gradient in gradients[2]], bool)
        of_made, of_split, of_weights, of_units, of_constants = _zeros_for_none(gradients, sources)
        of = Reductions(self.plan.free)
        out: dict[str, Any] = {"total": total, "log_scale": scales, "told": told}
        products = [tensor * gradient for tensor, gradient in zip(made, of_made, strict=True)]
        out["made"] = of.sums(products)
        out["made_magnitude"] = of.magnitudes(products)
        out["made_least"] = of.least(made)
        out["made_least_gradient"] = of.least(of_made)
        out["units"] = {
            str(number): _by_channel(product, tracing.nodes[source.node].operation)
            for number, (source, product) in enumerate(zip(tracing.made, products, strict=True))
            if source.node != INPUT and _has_kernel(tracing.nodes[source.node].operation)
        }
        split_products = [edge.tensor * gradient for edge, gradient in zip(split, of_split, strict=True)]
        out["split"] = of.sums(split_products)
        out["split_magnitude"] = of.magnitudes(split_products)
        out["split_least"] = of.least([edge.tensor for edge in split])
        out["split_least_gradient"] = of.least(of_split)
        out["least_output"] = tf.reduce_min(of.least(results))
        scores = [weight * gradient for weight, gradient in zip(weights, of_weights, strict=True)]
        out["least_weights"] = of.least(scores)
        out["weights"] = of.sums(scores)
        out["tops"] = [
            tf.math.top_k(tf.reshape(score, (-1,)), min(self._top, int(np.prod(score.shape)))) for score in scores
        ] if self._top else []  # fmt: skip
        out["arrays"] = scores if self._arrays else []
        added = [gradient * one for gradient, one in zip(of_units, units, strict=True)]
        out["biases"], out["added_by_node"] = sum(added[:1], tf.zeros((), self.plan.dtype)), stacked(added[1:])
        by_rules = [value * gradient for value, gradient in zip(tracing.constants, of_constants, strict=True)]
        out["by_rules"] = of.sums(by_rules)
        out["by_rules_magnitude"] = of.magnitudes(by_rules)
        out["added"] = [tracing.found.get(id(self.weights[number].variable), tf.constant(False)) for number in chosen]
        out["trials"] = [stacked(trial.numbers) for trial in tracing.trials]
        self.chosen, self._split, self._connected = chosen, split, connected
        return out

    def _asked(self, weight: Weight) -> bool:
        """Whether the gradient with respect to it is needed; that of what is left out is not."""
        left_out = weight.role == "offset" and not self.plan.constants
        if not keras.backend.is_float_dtype(weight.variable.dtype) or weight.role == "statistic" or left_out:
            return False
        return self._with_weights or weight.role == "offset" or id(weight.variable) in self._unsaid

    # ---- outside of it

    def _read(self, out: Mapping[str, Any]) -> Sums:
        tracing = self._traced
        assert tracing is not None
        numbers = {key: np.asarray(value) for key, value in out.items() if tf.is_tensor(value)}
        count = len(tracing.nodes)
        made_of = np.array([source.node for source in tracing.made], dtype=int)
        at_nodes = made_of != INPUT

        def by_node(key: str) -> np.ndarray:
            return np.bincount(made_of[at_nodes], numbers[key][at_nodes], count)

        def least(key: str) -> np.ndarray:
            return _least_by(made_of[at_nodes], numbers[key][at_nodes], count)

        units: dict[int, np.ndarray] = {}
        for number, value in out["units"].items():
            units.setdefault(tracing.made[int(number)].node, np.asarray(value))
        variables, least_weights = np.zeros((2, len(self.weights)))
        variables[self.chosen], least_weights[self.chosen] = numbers["weights"], numbers["least_weights"]
        connected, added = np.zeros((2, len(self.weights)), bool)
        connected[self.chosen] = self._connected
        added[self.chosen] = [bool(each) for each in out["added"]]
        return Sums(
            total=float(numbers["total"]),
            log_scale=float(numbers["log_scale"]),
            nodes=tuple(tracing.nodes),
            edges=tuple(self._edge_sums(tracing, numbers)),
            flows=by_node("made"),
            magnitudes=by_node("made_magnitude"),
            least_values=least("made_least"),
            least_gradients=least("made_least_gradient"),
            least_output=float(numbers["least_output"]),
            least_weights=least_weights,
            whole=self._whole,
            units=units,
            inputs=numbers["made"][~at_nodes],
            input_magnitudes=numbers["made_magnitude"][~at_nodes],
            variables=variables,
            added=added,
            connected=connected,
            tops=tuple((np.asarray(top.values), np.asarray(top.indices)) for top in out["tops"]),
            arrays=tuple(np.asarray(each) for each in out["arrays"]),
            trials=tuple(
                Trial(trial.node, *map(float, np.asarray(values)))
                for trial, values in zip(tracing.trials, out["trials"], strict=True)
            ),
            told={key: np.asarray(value) for key, value in out["told"].items()},
            added_by_node=numbers["added_by_node"] if len(numbers["added_by_node"]) else np.zeros(count),
            biases=float(numbers["biases"]),
            by_rules=float(numbers["by_rules"].sum()),
            by_rules_magnitude=float(numbers["by_rules_magnitude"].sum()),
        )

    def _edge_sums(self, tracing: Tracing, numbers: Mapping[str, np.ndarray]) -> list[EdgeSum]:
        number_of = {id(source): number for number, source in enumerate(tracing.made)}
        split_number = {id(edge): number for number, edge in enumerate(self._split)}
        edges = []
        for edge in tracing.edges:
            sources = tuple(source.node for source in edge.sources)
            if id(edge) in split_number:
                at = split_number[id(edge)]
                kind = "split"
            else:
                at = number_of[id(edge.sources[0])]
                kind = "made"
            value, magnitude, least_value, least_gradient = (
                float(numbers[kind + what][at]) for what in ("", "_magnitude", "_least", "_least_gradient")
            )
            edges.append(EdgeSum(sources, edge.target, value, magnitude, least_value, least_gradient, whole=edge.whole))
        return edges


def _is_own(rule: Rule | None) -> bool:
    return rule is not None and rule.own


def raised(inputs: Any, dtype: str) -> Any:
    """A structure of tensors, those of floating-point numbers in that dtype."""

    def one(leaf: Any) -> Any:
        tensor = tf.convert_to_tensor(leaf)
        return tf.cast(tensor, dtype) if tensor.dtype.is_floating else tensor

    return keras.tree.map_structure(one, inputs)


def _trains(model: Any) -> bool:
    return bool(getattr(model, "_call_has_training_arg", False))


def _at_one_scale(tracing: Tracing, results: list[Any], plan: Plan) -> tuple[Any, list[Any]]:
    """The outputs at a common scale, and its logarithm."""
    if not plan.normalised:
        return tf.zeros((), tf.float64), results
    scales = [tracing.sources_of(result)[0][0].log_scale for result in results]
    common = tf.reduce_max(tf.stack(scales))
    factors = [tf.cast(tf.exp(scale - common), plan.dtype) for scale in scales]
    return common, [result * factor for result, factor in zip(results, factors, strict=True)]


def _alone(edge: Edge, consumers: Mapping[int, int]) -> bool:
    """Whether the gradient of an edge's copy is that of the tensor that it is a copy of."""
    return edge.whole and consumers[id(edge.sources[0])] == 1


def _zeros_for_none(gradients: Any, tensors: Any) -> Any:
    return [
        [tf.zeros_like(tensor) if gradient is None else gradient for gradient, tensor in zip(*each, strict=True)]
        for each in zip(gradients, tensors, strict=True)
    ]


def _least_by(groups: np.ndarray, values: np.ndarray, count: int) -> np.ndarray:
    least = np.full(count, np.inf)
    np.minimum.at(least, groups, values)
    return least


def _has_kernel(operation: Any) -> bool:
    """Whether a layer has weights that mix what comes in: its outputs are units of their own."""
    return any(len(variable.shape) > 1 for variable in getattr(operation, "weights", ()))


def _by_channel(product: Any, operation: Any) -> Any:
    rank = len(product.shape)
    axis = 1 if getattr(operation, "data_format", None) == "channels_first" and rank > 2 else rank - 1
    return tf.reduce_sum(product, [each for each in range(rank) if each != axis])
