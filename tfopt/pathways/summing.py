"""The sums of a traced pass, inside the trace: what Euler's theorem makes of values and gradients."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from tfopt.pathways.nodes import INPUT, Edge, Source
from tfopt.pathways.reductions import Reductions, largest, stacked
from tfopt.pathways.sums import Weight
from tfopt.pathways.tracing import Tracing

__all__ = ["Taken", "channel_axis", "summed"]


@dataclass(frozen=True)
class Taken:
    """What the sums are of: of the variables those with these numbers (`connected`: whether a gradient reached them;
    `doubtful`: their scores could be negative), of the edges those that have a gradient of their own."""

    chosen: tuple[int, ...]
    connected: tuple[bool, ...]
    doubtful: frozenset[int]
    split: tuple[Edge, ...]


def summed(
    tape: Any,
    tracing: Tracing,
    variables: Sequence[tuple[int, Weight, Any]],
    unit: Any,
    total: Any,
    results: Sequence[Any],
    ends: Sequence[Source],
    *,
    arrays: bool,
    top: int,
) -> tuple[dict[str, Any], Taken]:
    """Tensors by name, for `readout`, and what they are of.

    Args:
        tape: has recorded how `total` came about.
        tracing: the trace.
        variables: those to take gradients of: number, variable and value in the surrogate.
        unit: what all constants are multiplied with.
        total: the objective.
        results: the model's outputs.
        ends: what made them. A layer may take such a tensor, too.
        arrays: give the products of variables and gradients as they are.
        top: how many of their largest elements to give.
    """
    plan = tracing.plan
    consumers = Counter(map(id, ends)) + Counter(id(source) for edge in tracing.edges for source in edge.sources)
    split = [edge for edge in tracing.edges if not _alone(edge, consumers)]
    made = [source.tensor for source in tracing.made]
    weights = [value for _, _, value in variables]
    units = [unit, *(node.unit for node in tracing.nodes)] if plan.constants else []
    sources = [made, [edge.tensor for edge in split], weights, units, tracing.constants]
    gradients = tape.gradient(total, sources)
    of_made, of_split, of_weights, of_units, of_constants = _zeros_for_none(gradients, sources)
    products, scores, added = _products(made, of_made), _products(weights, of_weights), _products(units, of_units)
    doubtful = _doubtful(tracing, [weight for _, weight, _ in variables])
    reduce = Reductions()
    out: dict[str, Any] = {"total": total, "weights": reduce.sums(scores)}
    for name, found in (
        ("made", products),
        ("split", _products([edge.tensor for edge in split], of_split)),
        ("by_rules", _products(tracing.constants, of_constants)),
    ):
        out[name] = reduce.sums(found)
        # Without data nothing is negative, or a certificate says so.
        out[f"{name}_magnitude"] = out[name] if plan.free else reduce.sums([tf.abs(each) for each in found])
    if plan.free:
        for name, tensors in (
            ("made_range", made),
            ("made_gradient_range", of_made),
            ("split_range", [edge.tensor for edge in split]),
            ("split_gradient_range", of_split),
            ("output_range", results),
            ("weights_range", [score for place, score in enumerate(scores) if place in doubtful]),
        ):
            out[name] = reduce.ranges(tensors)
    out["biases"], out["added_by_node"] = sum(added[:1], tf.zeros((), plan.dtype)), stacked(added[1:])
    out["units"] = {
        str(number): _by_channel(product, tracing.nodes[source.node].operation)
        for number, (source, product) in enumerate(zip(tracing.made, products, strict=True))
        if source.node != INPUT and _has_kernel(tracing.nodes[source.node].operation)
    }
    out["tops"] = [largest(score, top) for score in scores] if top else []
    out["arrays"] = scores if arrays else []
    out["found"] = [tracing.found.get(id(weight.variable), tf.constant(False)) for _, weight, _ in variables]
    out["trials"] = [stacked([tf.cast(each, tf.float64) for each in trial.numbers]) for trial in tracing.trials]
    connected = tuple(gradient is not None for gradient in gradients[2])
    return out, Taken(tuple(number for number, _, _ in variables), connected, doubtful, tuple(split))


def _doubtful(tracing: Tracing, weights: Sequence[Weight]) -> frozenset[int]:
    """The places of weights whose products with their gradients could be negative: those that a layer without a rule of
    tfopt's uses, or the model's own `call`."""
    sure, unsure = (
        {id(each) for node in tracing.nodes if node.own is own for each in getattr(node.operation, "weights", ())}
        for own in (True, False)
    )
    return frozenset(place for place, weight in enumerate(weights) if id(weight.variable) not in sure - unsure)


def _alone(edge: Edge, consumers: Mapping[int, int]) -> bool:
    """Whether the gradient of an edge's copy is that of the tensor that it is a copy of."""
    return edge.whole and consumers[id(edge.sources[0])] == 1


def _products(tensors: Sequence[Any], gradients: Sequence[Any]) -> list[Any]:
    return [tensor * gradient for tensor, gradient in zip(tensors, gradients, strict=True)]


def _zeros_for_none(gradients: Any, tensors: Any) -> Any:
    return [
        [tf.zeros_like(tensor) if gradient is None else gradient for gradient, tensor in zip(*each, strict=True)]
        for each in zip(gradients, tensors, strict=True)
    ]


def _has_kernel(operation: Any) -> bool:
    """Whether a layer has weights that mix what comes in: its outputs are units of their own."""
    return any(len(variable.shape) > 1 for variable in getattr(operation, "weights", ()))


def _by_channel(product: Any, operation: Any) -> Any:
    rank = len(product.shape)
    axis = channel_axis(operation, rank)
    return tf.reduce_sum(product, [each for each in range(rank) if each != axis])


def channel_axis(operation: Any, rank: int) -> int:
    """Which axis of a layer's output of that rank has its units."""
    return 1 if getattr(operation, "data_format", None) == "channels_first" and rank > 2 else rank - 1
