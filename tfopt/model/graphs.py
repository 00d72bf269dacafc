"""What a traced graph tells: the graphs that its ops run, how often loops turn, and which ops its results need.

Private name of TensorFlow used here: `Graph._get_function`. A test checks that it exists.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

__all__ = ["LOOPS", "Body", "alternatives", "bodies", "called", "growth", "live", "loop_body", "static", "turns"]

LOOPS = ("While", "StatelessWhile")
_CALLS = ("PartitionedCall", "StatefulPartitionedCall")
_BRANCHES = {"If": ("then_branch", "else_branch"), "Case": ("branches",)}
_SAME = ("Identity", "Max", "Cast")  # of one number; Keras takes the maximum of one


@dataclass(frozen=True)
class Body:
    """A graph that an op runs: `times` per run of the op (None: not known before running). Of the `alternative`
    bodies of one op, one runs."""

    graph: Any
    times: int | None = 1
    alternative: bool = False


def bodies(op: Any) -> tuple[Body, ...]:
    """The graphs that an op runs: a loop's body, the branches of a condition, a function."""
    if op.type in LOOPS:
        return (Body(loop_body(op), turns(op, lambda at: static(op.inputs[at]))),)
    if (function := called(op)) is not None:
        return (Body(function),)
    return tuple(Body(branch, alternative=True) for branch in alternatives(op))


def loop_body(op: Any) -> Any:
    """The graph of one turn of a loop."""
    return _function(op, op.get_attr("body"))


def called(op: Any) -> Any | None:
    """The graph of the function that an op calls; None where it is no call."""
    return _function(op, op.get_attr("f")) if op.type in _CALLS else None


def alternatives(op: Any) -> tuple[Any, ...]:
    """The graphs of which a condition runs one; empty where the op is none."""
    found = [op.get_attr(name) for name in _BRANCHES.get(op.type.removeprefix("Stateless"), ())]
    branches = found[0] if found and isinstance(found[0], list) else found
    return tuple(_function(op, branch) for branch in branches)


def _function(op: Any, called: Any) -> Any:
    """The graph of the function that an op names, as it was traced, from the graph around the op or one further out."""
    graph = op.graph
    while (function := graph._get_function(called.name)) is None:
        graph = graph.outer_graph
    return function.graph


def turns(op: Any, start: Callable[[int], int | None]) -> int | None:
    """How often a loop turns; None where that is not known before running.

    `start` gives what is known of the number that the loop's variable at a position starts with. Known is a loop whose
    condition is `counter < limit`, or several of them, all of which hold while it turns.
    """
    condition = _function(op, op.get_attr("cond"))
    position = {id(tensor): at for at, tensor in enumerate(condition.inputs)}
    steps = growth(loop_body(op))
    found = []
    for compared in _conjuncts(condition.outputs[0].op):
        if compared.type != "Less":
            return None
        counter, limit = (position.get(id(_origin(tensor)), -1) for tensor in compared.inputs)
        bound = start(limit) if steps.get(limit) == 0 else static(compared.inputs[1])
        first, step = None if counter < 0 else start(counter), steps.get(counter, 0)
        if bound is None or first is None or step <= 0:
            return None
        found.append(max(-(-(bound - first) // step), 0))
    return min(found)


def _conjuncts(op: Any) -> Iterator[Any]:
    """The ops whose results must all be true for that of `op` to be."""
    if op.type == "Identity":
        yield from _conjuncts(op.inputs[0].op)
    elif op.type == "LogicalAnd":
        for tensor in op.inputs:
            yield from _conjuncts(tensor.op)
    else:
        yield op


def growth(body: Any) -> dict[int, int]:
    """By how much a loop's variables grow each turn, by position: those that grow by a constant; 0 where one stays."""
    found = {}
    for at, (before, after) in enumerate(zip(body.inputs, body.outputs, strict=True)):
        after = _origin(after)
        if after is before:
            found[at] = 0
        elif after.op.type in ("AddV2", "Add") and after.dtype.is_integer:
            one, other = map(_origin, after.op.inputs)
            step = static(other) if one is before else static(one) if other is before else None
            if step is not None:
                found[at] = step
    return found


def _origin(tensor: Any) -> Any:
    """The tensor that this one is another name of."""
    while tensor.op.type == "Identity":
        tensor = tensor.op.inputs[0]
    return tensor


def static(tensor: Any) -> int | None:
    """The value of an integer that does not depend on inputs, a loop's counter after it among them; else None."""
    while tensor.op.type in _SAME:
        tensor = tensor.op.inputs[0]
    op, at = tensor.op, tensor.value_index
    if op.type in LOOPS:
        step = growth(loop_body(op)).get(at)
        first = None if step is None else static(op.inputs[at])
        times = 0 if step == 0 else None if first is None else turns(op, lambda other: static(op.inputs[other]))
        return None if first is None or step is None or times is None else first + times * step
    if not tensor.dtype.is_integer:
        return None
    value = tf.get_static_value(tensor)
    return None if value is None or value.size != 1 else int(value.item())


def live(graph: Any) -> list[Any]:
    """The ops that the graph's results and side effects need (TensorFlow runs no others), each after what it needs
    itself, otherwise in order of definition."""
    needed, pending = set(), [*(tensor.op for tensor in graph.outputs), *graph.control_outputs]
    while pending:
        op = pending.pop()
        if op not in needed:
            needed.add(op)
            pending.extend(_needs(op))
    done: dict[Any, None] = {}
    for op in graph.get_operations():
        pending = [op] if op in needed else []
        while pending:
            missing = [other for other in _needs(pending[-1]) if other not in done]
            if missing:
                pending += reversed(missing)
            else:
                done[pending.pop()] = None
    return list(done)


def _needs(op: Any) -> list[Any]:
    return [*(tensor.op for tensor in op.inputs), *op.control_inputs]
