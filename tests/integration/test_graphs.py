"""What traced graphs of TensorFlow tell: how often loops turn, what ops run, and what is needed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import tensorflow as tf

from tfopt.model.graphs import LOOPS, bodies, live, static


def graph_of(function: Callable[..., Any], *specs: Any) -> Any:
    return tf.function(function, autograph=False).get_concrete_function(*specs).graph


def loop(condition: Callable[..., Any], *start: Any, step: int = 1, **options: Any) -> Any:
    """A loop whose first variable grows by `step`."""
    return tf.while_loop(condition, lambda i, *rest: (i + step, *rest), tuple(map(tf.constant, start)), **options)


LOOPED: dict[str, tuple[Callable[[Any], Any], int | None]] = {
    "limit in the condition": (lambda x: loop(lambda i: i < 7, 0), 7),
    "limit from outside": (lambda x: loop(lambda i, most: i < most, 0, 9), 9),
    "steps of two": (lambda x: loop(lambda i: i < 7, 0, step=2), 4),
    "not one turn": (lambda x: loop(lambda i: i < 7, 8), 0),
    "the smaller of two": (lambda x: loop(lambda i: i < 7, 0, maximum_iterations=5), 5),
    "the smaller of two, again": (lambda x: loop(lambda i: i < 4, 0, maximum_iterations=5), 4),
    "the counter is the limit": (lambda x: loop(lambda i, low: low < i, 5, 2), None),
    "backwards": (lambda x: loop(lambda i: i < 7, 0, step=-1), None),
    "either": (lambda x: loop(lambda i: (i < 7) | (tf.reduce_sum(x) > 0), 0), None),
    "also on values": (lambda x: loop(lambda i: (i < 7) & (tf.reduce_sum(x) > 0), 0, maximum_iterations=9), None),
    "not": (lambda x: loop(lambda i: ~(i < 3) & (i < 9), 4), None),
    "a limit that grows": (
        lambda x: tf.while_loop(lambda i, most: i < most, lambda i, most: (i + 1, most + 1 - i), (0, 5)),
        None,
    ),
}


@pytest.mark.parametrize("name", LOOPED)
def test_turns_are_those_that_the_condition_proves(name: str) -> None:
    make, wanted = LOOPED[name]
    (op,) = (op for op in graph_of(make, tf.TensorSpec((3,))).get_operations() if op.type in LOOPS)
    assert [body.times for body in bodies(op)] == [wanted]


def test_a_gradient_s_loop_turns_as_often_as_its_own() -> None:
    def step(x: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.while_loop(lambda i, y: i < 6, lambda i, y: (i + 1, y * y), (0, x))[1]
        return tape.gradient(y, x)

    graph = graph_of(step, tf.TensorSpec((3,)))
    assert [body.times for op in graph.get_operations() if op.type in LOOPS for body in bodies(op)] == [6, 6]


def test_a_counter_is_known_after_its_loop() -> None:
    graph = graph_of(lambda x: loop(lambda i: i < 7, 1, step=2)[0], tf.TensorSpec((3,)))
    assert static(graph.outputs[0]) == 7


def test_of_a_case_one_branch_runs() -> None:
    def chosen(at: Any, x: Any) -> Any:
        return tf.switch_case(at, [lambda: tf.exp(x), lambda: x + 1.0, lambda: x])

    (op,) = (
        op
        for op in graph_of(chosen, tf.TensorSpec((), tf.int32), tf.TensorSpec((3,))).get_operations()
        if "Case" in op.type
    )
    assert [body.alternative for body in bodies(op)] == [True] * 3


def test_a_function_of_an_outer_graph_is_found() -> None:
    inner = tf.function(lambda x: tf.exp(x), autograph=False)

    def outer(x: Any) -> Any:
        y = inner(x)
        return tf.cond(tf.reduce_sum(x) > 0, lambda: inner(x), lambda: y)

    graph = graph_of(outer, tf.TensorSpec((3,)))
    (op,) = (op for op in live(graph) if op.type in ("If", "StatelessIf"))
    ops = [call for body in bodies(op) for call in body.graph.get_operations()]
    (call,) = (call for call in ops if call.type.endswith("PartitionedCall"))
    call.graph._remove_function(call.get_attr("f").name)
    (body,) = bodies(call)
    assert "Exp" in {op.type for op in body.graph.get_operations()}


def test_what_no_result_needs_is_not_live() -> None:
    variable = tf.Variable(0.0)

    def step(x: Any) -> Any:
        tf.exp(x)
        variable.assign_add(1.0)
        return tf.sin(x)

    types = [op.type for op in live(graph_of(step, tf.TensorSpec((3,))))]
    assert "Exp" not in types
    assert {"Sin", "AssignAddVariableOp"} <= set(types)
