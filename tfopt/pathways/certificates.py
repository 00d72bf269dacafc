"""Checks that come with every result: whether its sums are what they claim to be, for the rules that were used.

Euler's theorem, additivity and conservation show that a surrogate is linear, so that its gradients are sums over paths.
A layer that subtracts is linear, too: that no term is negative is shown by values and gradients, and layer by layer by
whether a layer without a known rule is monotone on random inputs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from tfopt.pathways.nodes import INPUT, Trial
from tfopt.pathways.plan import Plan
from tfopt.pathways.sums import EdgeSum, Sums
from tfopt.pathways.surrogate import Surrogate
from tfopt.records.base import finite
from tfopt.records.influence import Certificate

__all__ = ["BETWEEN", "constants", "inflows", "path_certificates", "relevance_certificates", "sourceless", "starting"]

LINEAR = {"float64": 1e-8, "float32": 1e-4}
NEGATIVE = {"float64": 1e-12, "float32": 1e-5}
UNATTRIBUTED = {"float64": 1e-6, "float32": 1e-4}

BETWEEN = "(between layers)"
"""In place of a layer at fault: Python between the layers, in the `call` of a model."""

_FACTOR = 3.0
_SCALE = 2.0**10  # of a part of the input, and inverse of the other's, so that what is not homogeneous shows as well

Found = tuple[float, str | None]
"""How far off something is, and where."""


def path_certificates(surrogate: Surrogate, inputs: Any, whole: Sums) -> tuple[Certificate, ...]:
    """Of a data-free pass: runs the compiled surrogate on parts of its input."""
    plan = surrogate.plan
    if not math.isfinite(whole.total) or whole.total <= 0:
        signs = _falling(whole)[1] or _negative(whole, surrogate)[1]
        layer = _not_finite(whole) or signs or _worst((_apart(whole), _in_layers_weights(whole)))[1]
        return (Certificate(name="finite", value=finite(whole.total), limit=0.0, met=False, layer=layer),)
    if plan.maxpool == "max":
        runs = [whole, surrogate.run(inputs, scale=_FACTOR)]
        name, linear = "homogeneity", _homogeneity(*runs)
    else:
        runs = [whole, surrogate.run(inputs, part="first", scale=_SCALE), surrogate.run(inputs, part="rest")]
        name, linear = "additivity", _worst((_additivity(*runs), _apart(whole)))
    linear = _worst((linear, *_in_weights(surrogate, inputs, whole)))
    conservation = _conservation(whole, plan)
    limit = LINEAR[plan.dtype]
    found = (_apart(whole), linear, conservation)
    culprit = next((layer for value, layer in found if layer and not value <= limit), _outside(whole))
    return tuple(
        _within(name, value, limits[plan.dtype], layer or culprit)
        for name, (value, layer), limits in (
            ("euler", (_euler(whole, plan), None), LINEAR),
            (name, linear, LINEAR),
            ("conservation", conservation, LINEAR),
            ("non-negativity", _worst(_negative(run, surrogate) for run in runs), NEGATIVE),
            ("monotonicity", _falling(whole), NEGATIVE),
        )
    )


def relevance_certificates(sums: Sums, plan: Plan, unattributed_share: float) -> tuple[Certificate, ...]:
    """Of a pass on data: contributions are signed, so that only conservation can be checked."""
    if not math.isfinite(sums.total):
        return (Certificate(name="finite", value=None, limit=0.0, met=False, layer=_not_finite(sums)),)
    value, layer = _conservation(sums, plan)
    limit = UNATTRIBUTED[plan.dtype]
    return (
        _within("euler", abs(unattributed_share), limit, _outside(sums) if value <= limit else layer),
        _within("conservation", value, limit, layer),
    )


def starting(sums: Sums) -> float:
    """What flows out of inputs, of layers that nothing flows into (less what these add) and of other constants."""
    lone = sourceless(sums)
    looked_up = (sums.flows - sums.added_by_node)[lone].sum()
    return float(sums.inputs.sum() + looked_up + sum(edge.value for edge in constants(sums)))


def constants(sums: Sums) -> Iterator[EdgeSum]:
    """What flows into layers from neither an input nor a layer, beside what does."""
    lone = sourceless(sums)
    return (edge for edge in sums.edges if not edge.sources and not lone[edge.target])


def inflows(sums: Sums) -> np.ndarray:
    """What flows into each node: the sum over its edges."""
    into = np.zeros(len(sums.nodes))
    np.add.at(into, [edge.target for edge in sums.edges], [edge.value for edge in sums.edges])
    return into


def sourceless(sums: Sums) -> np.ndarray:
    """Which nodes nothing flows into: looked-up embeddings, encoded categories, whole numbers as inputs. Paths start
    there, too."""
    lone = np.ones(len(sums.nodes), bool)
    lone[[edge.target for edge in sums.edges if edge.sources]] = False
    return lone


def _within(name: Any, value: float, limit: float, layer: str | None) -> Certificate:
    met = bool(value <= limit)
    return Certificate(name=name, value=finite(value), limit=limit, met=met, layer=None if met else layer)


def _by_value(found: Found) -> float:
    """What is no number is as far off as can be."""
    return math.inf if math.isnan(found[0]) else found[0]


def _worst(found: Iterable[Found]) -> Found:
    return max((each for each in found if not each[0] <= 0), key=_by_value, default=(0.0, None))


def _euler(sums: Sums, plan: Plan) -> float:
    """For a linear function, the sum over inputs of input × gradient is the function."""
    return abs((starting(sums) + (sums.biases if plan.constants else 0.0)) / sums.total - 1)


def _additivity(whole: Sums, first: Sums, rest: Sums) -> Found:
    """R(c · a) / c + R(b) = R(a + b), for a random part a of the input and the rest b."""
    return abs(_ratio(first, whole) / _SCALE + _ratio(rest, whole) - 1), None


def _homogeneity(whole: Sums, scaled: Sums) -> Found:
    """R(c · a) = c · R(a)."""
    return abs(_ratio(scaled, whole) / _FACTOR - 1), None


def _ratio(part: Sums, whole: Sums) -> float:
    return part.total / whole.total * math.exp(part.log_scale - whole.log_scale)


def _apart(sums: Sums) -> Found:
    """How far a layer without a known rule is from a sum over its inputs."""
    return _worst((trial.additivity, _tried(sums, trial)) for trial in sums.trials)


def _in_weights(surrogate: Surrogate, inputs: Any, whole: Sums) -> Iterator[Found]:
    """How far a layer without a known rule, or the model's own code, is from linear in one of its weights."""
    yield _in_layers_weights(whole)
    for number in surrogate.loose:
        shape = tuple(surrogate.weights[number].variable.shape)
        runs = (surrogate.run(inputs, masks={number: np.full(shape, factor)}) for factor in (0.0, 2.0))
        yield abs(sum(_ratio(run, whole) for run in runs) - 2) / 2, BETWEEN


def _in_layers_weights(sums: Sums) -> Found:
    return _worst((trial.weights, _tried(sums, trial)) for trial in sums.trials)


def _conservation(sums: Sums, plan: Plan) -> Found:
    """What flows into a layer, and what it adds, flows out of it."""
    into = inflows(sums) + (sums.added_by_node if plan.constants else 0)
    gap = np.where(sourceless(sums), 0.0, np.abs(into - sums.flows)) / _measure(sums, plan)
    return _worst((float(value), node.path) for value, node in zip(gap, sums.nodes, strict=True))


def _measure(sums: Sums, plan: Plan) -> float | np.ndarray:
    """What a gap is relative to: the total; on data, where terms cancel, what flows in absolute terms."""
    return abs(sums.total) if plan.free else np.maximum(sums.magnitudes, abs(sums.total))


def _negative(sums: Sums, surrogate: Surrogate) -> Found:
    """How far below zero any value or gradient is, relative to the largest of its tensor; and the layer at fault."""
    least = min(
        sums.least_output,
        *sums.least_values[np.isfinite(sums.least_values)],
        *sums.least_gradients[np.isfinite(sums.least_gradients)],
        *sums.least_weights,
        *(edge.least_value for edge in sums.edges),
        *(edge.least_gradient for edge in sums.edges),
    )
    limit = -NEGATIVE[surrogate.plan.dtype]
    return (0.0, None) if least >= 0 else (-least, _first_negative(sums, surrogate, limit) if least < limit else None)


def _first_negative(sums: Sums, surrogate: Surrogate, limit: float) -> str | None:
    """A layer that makes negative values of others, or negative gradients; none where Python between layers does."""
    values, gradients = (np.zeros(len(sums.nodes)) for _ in range(2))
    for edge in sums.edges:
        values[edge.target] = min(values[edge.target], edge.least_value)
        gradients[edge.target] = min(gradients[edge.target], edge.least_gradient)
    at_fault = ((sums.least_values < limit) & (values >= limit)) | (
        (gradients < limit) & (sums.least_gradients >= limit)
    )
    layers = (node.path for node in sums.nodes if at_fault[node.index])
    holders = (
        weight.layer for weight, least in zip(surrogate.weights, sums.least_weights, strict=True) if least < limit
    )
    return next(layers, None) or _outside(sums) or next(holders, None)


def _outside(sums: Sums) -> str | None:
    """Where no layer is at fault: Python between the layers, if there is any."""
    return None if sums.whole and all(edge.whole for edge in sums.edges) else BETWEEN


def _tried(sums: Sums, trial: Trial) -> str:
    return BETWEEN if trial.node == INPUT else sums.nodes[trial.node].path


def _falling(sums: Sums) -> Found:
    """How far an output of a layer without a known rule falls below zero, or when an input grows."""
    return _worst((-value, _tried(sums, each)) for each in sums.trials for value in (each.least, each.increase))


def _not_finite(sums: Sums) -> str | None:
    """The first layer whose values or flow are no numbers."""
    for node in sums.nodes:
        if any(math.isnan(float(values[node.index])) for values in (sums.least_values, sums.flows)):
            return node.path
    return None
