"""Checks that come with every result: whether its sums are what they claim to be, for the rules that were used.

Euler's theorem, additivity and conservation show that a surrogate is linear, so that its gradients are sums over paths.
A layer that subtracts is linear, too: that no term is negative is shown by values and gradients, and layer by layer by
whether a layer without a known rule is monotone on random inputs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from tfopt.pathways.plan import Plan
from tfopt.pathways.sums import EdgeSum, Sums
from tfopt.pathways.surrogate import Surrogate
from tfopt.records.base import finite
from tfopt.records.influence import Certificate

__all__ = ["constants", "inflows", "path_certificates", "relevance_certificates", "sourceless", "starting"]

LINEAR = {"float64": 1e-8, "float32": 1e-4}
NEGATIVE = {"float64": 1e-12, "float32": 1e-5}
UNATTRIBUTED = {"float64": 1e-6, "float32": 1e-4}
_FACTOR = 3.0


def path_certificates(surrogate: Surrogate, inputs: Any, whole: Sums) -> tuple[Certificate, ...]:
    """Of a data-free pass: runs the compiled surrogate on parts of its input."""
    plan = surrogate.plan
    if not math.isfinite(whole.total) or whole.total <= 0:
        return (Certificate(name="finite", value=finite(whole.total), limit=0.0, met=False, layer=_not_finite(whole)),)
    if plan.maxpool == "max":
        runs = [whole, surrogate.run(inputs, scale=_FACTOR)]
        linear = _homogeneity(*runs)
    else:
        runs = [whole, surrogate.run(inputs, part="first"), surrogate.run(inputs, part="rest")]
        linear = _additivity(*runs)
    return tuple(
        _within(name, value, limits[plan.dtype], layer)
        for name, (value, layer), limits in (
            ("euler", (_euler(whole, plan), None), LINEAR),
            ("homogeneity" if plan.maxpool == "max" else "additivity", linear, LINEAR),
            ("conservation", _conservation(whole, plan), LINEAR),
            ("non-negativity", max(map(_negative, runs), key=_by_value), NEGATIVE),
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
        _within("euler", abs(unattributed_share), limit, None if abs(unattributed_share) <= limit else layer),
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
    return Certificate(
        name=name, value=finite(value), limit=limit, met=bool(value <= limit), layer=None if value <= limit else layer
    )


def _euler(sums: Sums, plan: Plan) -> float:
    """For a linear function, the sum over inputs of input × gradient is the function."""
    return abs((starting(sums) + (sums.biases if plan.constants else 0.0)) / sums.total - 1)


def _additivity(whole: Sums, first: Sums, rest: Sums) -> tuple[float, str | None]:
    """R(a) + R(b) = R(a + b), for the model on a random part of its input and the rest, and for each layer."""
    parts = [part.total * math.exp(part.log_scale - whole.log_scale) for part in (first, rest)]
    model = abs(sum(parts) / whole.total - 1)
    worst = max(((distance, whole.nodes[node].path) for node, _, _, distance in whole.trials), default=(0.0, None))
    return (model, worst[1]) if worst[0] <= model else worst


def _homogeneity(whole: Sums, scaled: Sums) -> tuple[float, str | None]:
    """R(c · a) = c · R(a)."""
    ratio = scaled.total / whole.total * math.exp(scaled.log_scale - whole.log_scale)
    return abs(ratio / _FACTOR - 1), None


def _conservation(sums: Sums, plan: Plan) -> tuple[float, str | None]:
    """What flows into a layer, and what it adds, flows out of it."""
    into = inflows(sums) + (sums.added_by_node if plan.constants else 0)
    gap = np.where(sourceless(sums), 0.0, np.abs(into - sums.flows)) / _measure(sums, plan)
    if not len(gap):
        return 0.0, None
    worst = int(np.argmax(np.where(np.isnan(gap), np.inf, gap)))
    return float(gap[worst]), sums.nodes[worst].path


def _measure(sums: Sums, plan: Plan) -> float | np.ndarray:
    """What a gap is relative to: the total; on data, where terms cancel, what flows in absolute terms."""
    return abs(sums.total) if plan.free else np.maximum(sums.magnitudes, abs(sums.total))


def _negative(sums: Sums) -> tuple[float, str | None]:
    """How far below zero any value or gradient is, relative to the largest of its tensor."""
    by_node = np.minimum(sums.least_values, sums.least_gradients)
    found = [
        *((-float(least), node.path) for node, least in zip(sums.nodes, by_node, strict=True)),
        *((-edge.least, sums.nodes[edge.target].path) for edge in sums.edges),
        (-sums.least_output, None),
    ]
    value, layer = max(_positive(found), key=_by_value, default=(0.0, None))
    return value, layer


def _positive(found: Iterable[tuple[float, str | None]]) -> Iterator[tuple[float, str | None]]:
    return ((value, layer) for value, layer in found if value > 0)


def _falling(sums: Sums) -> tuple[float, str | None]:
    """How far an output of a layer without a known rule falls below zero, or when an input grows."""
    falls = [(max(-least, -increase), sums.nodes[node].path) for node, least, increase, _ in sums.trials]
    return max(_positive(falls), key=_by_value, default=(0.0, None))


def _by_value(found: tuple[float, str | None]) -> float:
    return found[0]


def _not_finite(sums: Sums) -> str | None:
    """The first layer whose flow, values or gradients are no numbers, or are zero."""
    suspicious: Sequence[np.ndarray] = (sums.least_values, sums.flows)
    for node in sums.nodes:
        if any(math.isnan(float(values[node.index])) for values in suspicious):
            return node.path
    return None
