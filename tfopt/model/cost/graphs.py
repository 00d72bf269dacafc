"""What a traced graph tells: the bodies that its ops call, what its results need, and which tensors get gradients.

Private name of TensorFlow used here: `Graph._get_function`. A test checks that it exists.
"""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

__all__ = ["Body", "bodies", "differentiable", "inner_graphs", "live"]

_LOOPS = ("While", "StatelessWhile")
_BRANCHES = {"If": ("then_branch", "else_branch"), "Case": ("branches",)}
_CALLS = ("PartitionedCall", "StatefulPartitionedCall")
# Ops whose results have no gradient, although they are floating-point numbers.
_CONSTANT = frozenset({"StopGradient", "Sign", "Floor", "Ceil", "Round", "Rint", "ZerosLike", "OnesLike", "Fill"})


@dataclass(frozen=True)
class Body:
    """A graph that an op runs: `times` per run of the op (None: not known before running). Of the `alternative`
    bodies of one op, one runs."""

    graph: Any
    times: int | None = 1
    alternative: bool = False


def bodies(op: Any) -> tuple[Body, ...]:
    """The graphs that an op calls: a loop's body, the branches of a condition, a function."""
    if op.type in _LOOPS:
        limit = _static(op.inputs[1])  # TensorFlow's own counter ends there; -1: nowhere
        return (Body(_function(op, op.get_attr("body")), limit if limit is not None and limit >= 0 else None),)
    if op.type in _CALLS:
        return (Body(_function(op, op.get_attr("f"))),)
    found = [op.get_attr(name) for name in _BRANCHES.get(op.type.removeprefix("Stateless"), ())]
    branches = found[0] if found and isinstance(found[0], list) else found
    return tuple(Body(_function(op, branch), alternative=True) for branch in branches)


def _static(tensor: Any) -> int | None:
    """The value of a scalar that does not depend on inputs."""
    while tensor.op.type in ("Identity", "Max", "Cast"):  # Keras takes the maximum of one number
        tensor = tensor.op.inputs[0]
    value = tf.get_static_value(tensor)
    return None if value is None or value.size != 1 else int(value)


def _function(op: Any, called: Any) -> Any:
    """The graph of the function that an op calls, as it was traced, from the graph around the op or one further out."""
    graph = op.graph
    while (function := graph._get_function(called.name)) is None:
        graph = graph.outer_graph
    return function.graph


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


def live(graph: Any) -> set[str]:
    """The names of the ops that the graph's results and side effects need: TensorFlow runs no others."""
    reached: set[str] = set()
    pending = [tensor.op for tensor in graph.outputs] + list(graph.control_outputs)
    while pending:
        op = pending.pop()
        if op.name not in reached:
            reached.add(op.name)
            pending.extend(tensor.op for tensor in op.inputs)
            pending.extend(op.control_inputs)
    return reached


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
