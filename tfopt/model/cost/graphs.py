"""What the cost of layers needs of a traced graph: the bodies inside it, and which tensors get gradients."""

from __future__ import annotations

from collections.abc import Iterable, Set
from typing import Any

import tensorflow as tf

from tfopt.model.graphs import Body, bodies

__all__ = ["differentiable", "inner_graphs"]

# Ops whose results have no gradient, although they are floating-point numbers.
_CONSTANT = frozenset({"StopGradient", "Sign", "Floor", "Ceil", "Round", "Rint", "ZerosLike", "OnesLike", "Fill"})


def inner_graphs(graph: Any, times: int | None = 1, alternative: bool = False) -> dict[int, Body]:
    """The bodies inside `graph`, and inside these, by the graph's id: how often each runs per run of `graph`, and
    whether it lies in a branch."""
    found: dict[int, Body] = {}
    for op in graph.get_operations():
        for body in bodies(op):
            inside = None if times is None or body.times is None else times * body.times
            found[id(body.graph)] = Body(body.graph, inside, alternative or body.alternative)
            found |= inner_graphs(body.graph, inside, alternative or body.alternative)
    return found


def differentiable(graph: Any, results: Set[str], trained: Iterable[Any], seeds: Set[str]) -> frozenset[str]:
    """The names of the tensors of `graph` that get a gradient: those on differentiable ways from `trained` variables,
    or from the tensors named `seeds`, to those named `results`."""
    handles = {id(variable.value.handle) for variable in trained}
    found = {inside.name for outside, inside in graph.captures if id(outside) in handles}
    found |= seeds
    operations = graph.get_operations()
    for op in operations:
        if op.type not in _CONSTANT and any(tensor.name in found for tensor in op.inputs):
            found.update(out.name for out in op.outputs if _carries(out))
    wanted = set(results)
    for op in reversed(operations):
        if op.type not in _CONSTANT and any(out.name in wanted for out in op.outputs if _carries(out)):
            wanted.update(tensor.name for tensor in op.inputs)
    return frozenset(found & wanted)


def _carries(tensor: Any) -> bool:
    """Whether a gradient can go through: a floating-point number, or a list or variable of such."""
    return bool(tensor.dtype.is_floating or tensor.dtype.is_complex or tensor.dtype in (tf.variant, tf.resource))
