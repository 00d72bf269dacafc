"""Costs counted from ops: layers without a formula, loops, and what cannot be counted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import pytest
import tensorflow as tf

from tests.integration.cost_cases import cost_rows
from tfopt.model.cost import ops, registry
from tfopt.model.cost.counting import OpCounter

_L = keras.layers


class _Swapped(_L.Dense):
    """A Dense that computes something else."""

    def call(self, inputs: Any, training: Any = None) -> Any:
        return keras.ops.exp(super().call(inputs) + 1.0)


class _Named(_L.Dense):
    """A Dense under another name."""


def test_a_subclass_with_its_own_call_is_counted_from_its_ops() -> None:
    model = keras.Sequential([keras.Input((5,)), _Swapped(6, name="own"), _Named(6, name="same")])
    rows = cost_rows(model, tf.zeros((3, 5)))
    assert (rows["own"].source, rows["same"].source) == ("ops", "formula")
    assert rows["own"].macs == 3 * 5 * 6
    assert rows["own"].forward_flops == 2 * 90 + 3 * 18
    assert rows["own"].backward_flops == pytest.approx(2 * 90 + 3 * 18)


class _Subclassed(keras.Model):
    """Layers as attributes, one of them never called, and work of its own between them."""

    def __init__(self) -> None:
        super().__init__(name="own")
        self.first, self.second, self.unused = _L.Dense(4, name="a"), _L.Dense(4, name="b"), _L.Dense(4, name="c")

    def build(self, shape: Any) -> None:
        for layer, width in ((self.first, shape[-1]), (self.second, 4), (self.unused, 4)):
            layer.build((None, width))

    def call(self, x: Any) -> Any:
        return self.second(self.first(x)) * 2.0


def test_a_subclassed_model_has_what_its_layers_have_not() -> None:
    model = _Subclassed()
    model(tf.zeros((1, 3)))
    rows = cost_rows(model, tf.zeros((5, 3)))
    assert (rows["own"].source, rows["own"].forward_flops, rows["own"].forward_bytes) == ("ops", 20, 4 * (2 * 20 + 1))
    assert rows["b"].backward_flops == 2 * 2 * 5 * 4 * 4 + 20
    assert (rows["c"].source, rows["c"].calls, rows["c"].output_shape) == ("none", 0, None)


def test_a_subclassed_model_may_be_built_by_counting() -> None:
    rows = cost_rows(_Subclassed(), tf.zeros((5, 3)))
    assert (rows["a"].params, rows["a"].macs) == (16, 5 * 3 * 4)


def _looped(steps: Any, turns: Callable[..., Any] = lambda n, x: n < 7) -> keras.Model:
    inner = _L.Dense(4, name="inner")

    def body(count: Any, x: Any) -> Any:
        return count + 1, inner(x)

    class Loop(_L.Layer):
        def __init__(self) -> None:
            super().__init__(name="loop")
            self.inner = inner

        def call(self, x: Any) -> Any:
            start = (tf.constant(0), x)
            return tf.while_loop(turns, body, start, maximum_iterations=steps)[1]

    inner.build((None, 4))
    return keras.Sequential([keras.Input((4,)), Loop()])


def test_loops_count_as_often_as_they_run() -> None:
    inner = cost_rows(_looped(7), tf.zeros((3, 4)))["inner"]
    assert (inner.calls, inner.macs, inner.detail) == (7, 7 * 3 * 4 * 4, "")
    assert cost_rows(_looped(None), tf.zeros((3, 4)))["inner"].calls == 7  # its condition says so
    unknown = cost_rows(_looped(7, lambda n, x: tf.reduce_sum(x) < 9.0), tf.zeros((3, 4)))["inner"]
    assert (unknown.calls, unknown.detail) == (1, "in a loop of unknown length: counted as one turn")


class _Filtered(_L.Layer):
    """Keeps the rows with a positive first value."""

    def call(self, x: Any) -> Any:
        return tf.boolean_mask(x, x[:, 0] > 0)


def test_shapes_that_depend_on_values_are_said() -> None:
    model = keras.Sequential([keras.Input((4,)), _Filtered(name="some"), _L.Dense(3, name="head")])
    head = cost_rows(model, tf.zeros((5, 4)))["head"]
    assert (head.source, head.macs, head.output_shape, head.params) == ("ops", 0, None, 15)
    assert head.detail == "not counted: shapes that depend on values"


class _Counting(_L.Layer):
    """Counts its calls in a variable of TensorFlow's own that no step reads."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.calls = tf.Variable(tf.zeros(()), trainable=False)

    def call(self, x: Any) -> Any:
        self.calls.assign_add(1.0)
        return x + 1.0


def test_an_op_without_results_is_counted() -> None:
    row = cost_rows(keras.Sequential([keras.Input((4,)), _Counting(name="own")]), tf.zeros((3, 4)))["own"]
    assert (row.source, row.forward_flops, row.detail) == ("ops", 12 + 1, "")


def test_what_a_rule_cannot_count_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ops.RULES, "AddV2", lambda op: (0, op.outputs[1].size))
    row = cost_rows(keras.Sequential([keras.Input((4,)), _Counting(name="own")]), tf.zeros((3, 4)))["own"]
    assert (row.forward_flops, row.detail) == (1, "not counted: AddV2 ops (IndexError)")


def test_a_formula_that_fails_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry._FORMULAS, _L.Dense, lambda call: call.missing)
    row = cost_rows(keras.Sequential([keras.Input((4,)), _L.Dense(2, name="one")]), tf.zeros((3, 4)))["one"]
    assert (row.source, row.macs) == ("ops", 3 * 4 * 2)
    assert row.detail == "its formula failed (AttributeError): counted from its ops"


class _Odd(_L.SimpleRNN):
    """A recurrent layer that is called on nothing."""

    def call(self) -> Any:  # type: ignore[override]
        return tf.zeros((3, 2)) + 1.0


class _Around(_L.Layer):
    """Calls a layer in a way of its own."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.odd = _Odd(2, name="odd")
        self.odd.built = True

    def call(self, x: Any) -> Any:
        return x + self.odd.call()


def test_a_call_that_nobody_understands_does_not_fail_the_step() -> None:
    rows = cost_rows(keras.Sequential([keras.Input((2,)), _Around(name="around")]), tf.zeros((3, 2)))
    assert rows["around"].forward_flops == 6
    assert rows["odd"].forward_flops == 6


def test_scatters_add_their_updates() -> None:
    def scatter(table: Any, rows: Any) -> Any:
        added = tf.tensor_scatter_nd_add(table, [[0], [1]], rows)
        return added, tf.scatter_nd([[0], [1]], rows, (50, 4))

    specs = tf.TensorSpec((100, 4)), tf.TensorSpec((2, 4))
    assert OpCounter().graph(tf.function(scatter).get_concrete_function(*specs).graph).other == 8 + 8
    table = tf.Variable(tf.zeros((100, 4)))
    add = tf.function(lambda rows: table.scatter_add(tf.IndexedSlices(rows, tf.constant([0, 1]))))
    assert OpCounter().graph(add.get_concrete_function(specs[1]).graph).other == 8
