"""The cost of a SavedModel, by the name scopes of its ops: there are no Keras layers to ask."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from tfopt.model.cost.counting import Count, OpCounter
from tfopt.model.graphs import bodies, live
from tfopt.model.scope_tree import scope_tree
from tfopt.model.sizes import item_bytes
from tfopt.records.cost import LayerCost

__all__ = ["scope_costs"]


def scope_costs(serving: Any, batch: int) -> tuple[LayerCost, ...]:
    """The forward work of a serving signature, in the order and with the paths of `scope_tree(serving)`.

    A length that a shape leaves open is taken for the batch, where the inputs leave nothing else open. A variable
    belongs to the scope that its name says.
    """
    ambiguous = any(shape is None or None in shape[1:] for shape, _ in serving.input_specs.values())
    tree = scope_tree(serving)
    root = tree[0].path
    counts: defaultdict[str, Count] = defaultdict(Count)
    for scope, count, times in _counts(serving.concrete.graph, OpCounter(free=None if ambiguous else batch), 1):
        counts[f"{root}/{scope}" if scope else root].add(count, times)
    variables: defaultdict[str, list[Any]] = defaultdict(list)
    known = {node.path for node in tree}
    for variable in serving.variables:
        path = f"{root}/{variable.name.rpartition('/')[0]}"
        variables[path if path in known else root].append(variable)
    return tuple(_row(node.path, node.type, node.depth, counts[node.path], variables[node.path]) for node in tree)


def _counts(graph: Any, counter: OpCounter, times: int) -> Iterator[tuple[str, Count, int]]:
    """The scope, the work, and how often it is done, of each live op; of a function that is called, of those in it."""
    for op in live(graph):
        inside = bodies(op)
        if inside and not any(body.alternative or body.times is None for body in inside):
            for body in inside:
                yield from _counts(body.graph, counter, times * (body.times or 1))
        else:
            yield op.name.rpartition("/")[0], counter.op(op), times


def _row(path: str, type: str, depth: int, count: Count, variables: list[Any]) -> LayerCost:
    sizes = [math.prod(variable.shape) for variable in variables]
    return LayerCost(
        path=path,
        type=type,
        depth=depth,
        calls=1,
        output_shape=None,
        params=sum(sizes),
        trainable_params=sum(size for size, own in zip(sizes, variables, strict=True) if own.trainable),
        weight_bytes=sum(size * item_bytes(own.dtype) for size, own in zip(sizes, variables, strict=True)),
        macs=count.macs,
        forward_flops=count.flops,
        backward_flops=0,
        optimizer_flops=0,
        forward_bytes=count.bytes,
        backward_bytes=0,
        optimizer_bytes=0,
        activation_bytes=0,
        source="ops",
        detail="; ".join(f"not counted: {what}" for what in count.uncounted),
    )
