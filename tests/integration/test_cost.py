"""Costs of whole models: what belongs to which layer, which gradients are needed, and what cannot be counted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import pytest
import tensorflow as tf

from tests.integration.cost_cases import backward_count, counted
from tfopt.model.cost import layer_costs, ops, optimizers, registry
from tfopt.model.cost.counting import OpCounter
from tfopt.model.layers import layer_tree
from tfopt.records.cost import LayerCost

_L = keras.layers


def _rows(model: Any, x: Any, **options: Any) -> dict[str, LayerCost]:
    return {row.path.rpartition("/")[2]: row for row in layer_costs(model, x, **options)}


def _mlp() -> keras.Model:
    return keras.Sequential(
        [keras.Input((20,)), _L.Dense(64, "relu"), _L.Dropout(0.2), _L.Dense(64, "tanh"), _L.Dense(10, "softmax")]
    )


def _cnn() -> keras.Model:
    stages = [_L.Conv2D(8, 3), _L.BatchNormalization(), _L.ReLU(), _L.MaxPooling2D(), _L.Conv2D(16, 3, strides=2)]
    return keras.Sequential([keras.Input((20, 20, 3)), *stages, _L.GlobalAveragePooling2D(), _L.Dense(10)])


def _depthwise_cnn() -> keras.Model:
    stages = [_L.Conv2D(8, 3, strides=2), _L.DepthwiseConv2D(3, padding="same"), _L.BatchNormalization(), _L.ReLU(6.0)]
    return keras.Sequential([keras.Input((20, 20, 3)), *stages, _L.Conv2D(16, 1), _L.Flatten(), _L.Dense(4)])


def _lstm() -> keras.Model:
    return keras.Sequential(
        [keras.Input((12, 6)), _L.LSTM(16, return_sequences=True), _L.LSTM(8), _L.Dense(4, "softmax")]
    )


def _transformer() -> keras.Model:
    x = inputs = keras.Input((16, 24))
    attended = _L.MultiHeadAttention(4, 8, dropout=0.1)(x, x)
    x = _L.LayerNormalization()(_L.Add()([x, attended]))
    hidden = _L.Dense(24)(_L.Dense(96, "gelu")(x))
    x = _L.LayerNormalization()(_L.Add()([x, hidden]))
    return keras.Model(inputs, _L.Dense(5)(_L.GlobalAveragePooling1D()(x)))


@pytest.mark.parametrize("build", [_mlp, _cnn, _depthwise_cnn, _lstm, _transformer])
def test_training_agrees_with_the_gradient_graph(build: Callable[[], keras.Model]) -> None:
    """The forward pass but for random numbers, forward and backward together within 3 %."""
    model = build()
    x = tf.zeros((4, *model.inputs[0].shape[1:]))
    rows, forward = counted(model, x)
    assert sum(row.macs for row in rows) == forward.macs
    assert sum(row.forward_flops for row in rows) == pytest.approx(forward.flops, rel=0.02)
    assert sum(row.flops for row in rows) == pytest.approx(backward_count(model, x).flops, rel=0.03)


def test_rows_are_the_layer_tree_and_hold_every_weight_once() -> None:
    shared = keras.Sequential([keras.Input((6,)), _L.Dense(6, name="inner")], name="shared")
    inputs = keras.Input((6,))
    model = keras.Model(inputs, _L.Dense(2)(shared(shared(inputs)) + 1.0), name="whole")
    rows = layer_costs(model, tf.zeros((3, 6)))
    assert [(row.path, row.type, row.depth) for row in rows] == [
        (node.path, node.type, node.depth) for node in layer_tree(model)
    ]
    assert sum(row.params for row in rows) == model.count_params()
    by_name = {row.path.rpartition("/")[2]: row for row in rows}
    assert (by_name["shared"].calls, by_name["inner"].calls) == (2, 2)
    assert by_name["inner"].macs == 2 * 3 * 6 * 6
    assert by_name["inner"].params == 6 * 6 + 6
    # the first call's input needs no gradient, the second's does; the kernel needs one both times
    assert by_name["inner"].backward_flops == 2 * 3 * 36 * 3 + 2 * 18
    assert (by_name["whole"].forward_flops, by_name["whole"].activation_bytes) == (0, 0)


def test_gradients_are_computed_where_something_before_is_trained() -> None:
    model = keras.Sequential([keras.Input((5,)), _L.Dense(6, name="one"), _L.Dense(7, name="two")])
    model.layers[0].trainable = False
    rows = _rows(model, tf.zeros((3, 5)))
    assert (rows["one"].backward_flops, rows["one"].backward_bytes) == (0, 0)
    assert (rows["one"].params, rows["one"].trainable_params) == (36, 0)
    assert rows["two"].backward_flops == 2 * 3 * 6 * 7 + 3 * 7
    model.layers[0].trainable, model.layers[1].trainable = True, False
    rows = _rows(model, tf.zeros((3, 5)))
    assert rows["one"].backward_flops == 2 * 3 * 5 * 6 + 3 * 6
    assert rows["two"].backward_flops == 2 * 3 * 6 * 7


def test_stopped_gradients_stop() -> None:
    inputs = keras.Input((5,))
    cut = keras.ops.stop_gradient(_L.Dense(6, name="dense")(inputs))
    rows = _rows(keras.Model(inputs, _L.Dense(7, name="after")(cut)), tf.zeros((3, 5)))
    assert rows["dense"].backward_flops == rows["dense"].backward_bytes == 0
    assert rows["after"].backward_flops == 2 * 3 * 6 * 7 + 3 * 7


def test_inference_has_a_forward_pass_only() -> None:
    rows = layer_costs(_cnn(), tf.zeros((2, 20, 20, 3)), mode="infer", optimizer=keras.optimizers.Adam())
    assert all(row.backward_flops == row.backward_bytes == row.optimizer_flops == 0 for row in rows)
    batch_norm = next(row for row in rows if row.type == "BatchNormalization")
    assert batch_norm.forward_flops == 2 * (2 * 18 * 18 * 8) + 5 * 8


def test_bytes_are_those_of_the_dtypes_that_are_computed_in() -> None:
    model = keras.Sequential([keras.Input((5,)), _L.Dense(6, name="one"), _L.Dense(7, name="two", dtype="float64")])
    rows = _rows(model, tf.zeros((3, 5)))
    assert rows["one"].forward_bytes == 4 * (3 * 5 + 5 * 6 + 6 + 3 * 6)
    assert rows["one"].activation_bytes == 4 * 3 * 6
    assert rows["two"].forward_bytes == 8 * (3 * 6 + 6 * 7 + 7 + 3 * 7)
    # dy, x and the weights are read, dx and the weights' gradients written
    assert rows["two"].backward_bytes == 8 * (3 * 7 + 3 * 6 + 49 + 3 * 6 + 49)
    mixed = keras.Sequential([keras.Input((5,)), _L.Dense(6, dtype="mixed_bfloat16", name="half")])
    half = _rows(mixed, tf.zeros((3, 5)))["half"]
    assert half.forward_bytes == 2 * 3 * 5 + 4 * 36 + 2 * 3 * 6
    assert (half.weight_bytes, half.activation_bytes) == (4 * 36, 2 * 3 * 6)


def test_an_embedding_reads_the_rows_it_looks_up() -> None:
    model = keras.Sequential([keras.Input((5,), dtype="int32"), _L.Embedding(1000, 8, name="table")])
    row = _rows(model, tf.zeros((2, 5), "int32"), optimizer=keras.optimizers.SGD())["table"]
    assert (row.params, row.macs, row.forward_flops, row.backward_flops) == (8000, 0, 0, 2 * 5 * 8)
    assert row.forward_bytes == 4 * 10 + 2 * 4 * 80
    # plain SGD updates the rows that were looked up
    assert (row.optimizer_flops, row.optimizer_bytes) == (2 * 80, 3 * 4 * 80)


@pytest.mark.parametrize(
    "optimizer",
    [
        keras.optimizers.SGD(momentum=0.9),
        keras.optimizers.SGD(weight_decay=0.1),
        keras.optimizers.SGD(clipnorm=1.0),
        keras.optimizers.Adam(),
    ],
)
def test_any_other_optimizer_looks_at_the_whole_table(optimizer: Any) -> None:
    model = keras.Sequential([keras.Input((5,), dtype="int32"), _L.Embedding(1000, 8, name="table")])
    row = _rows(model, tf.zeros((2, 5), "int32"), optimizer=optimizer)["table"]
    assert row.optimizer_flops % 8000 == 0 < row.optimizer_flops


def test_a_table_that_is_looked_at_as_a_whole_is_updated_as_a_whole() -> None:
    inputs = keras.Input((5,), dtype="int32")
    table = _L.ReversibleEmbedding(1000, 8, name="table")
    model = keras.Model(inputs, table(table(inputs), reverse=True))
    row = _rows(model, tf.zeros((2, 5), "int32"), optimizer=keras.optimizers.SGD())["table"]
    assert row.optimizer_flops == 2 * 8000


def test_a_cell_s_output_that_is_its_state_is_moved_once() -> None:
    model = keras.Sequential([keras.Input((3, 4)), _L.LSTM(5)])
    cell = _rows(model, tf.zeros((2, 3, 4)))["lstm_cell"]
    given, state, weights = 2 * 4, 2 * 5, 4 * 20 + 5 * 20 + 20
    assert cell.forward_bytes == 3 * 4 * (given + 2 * state + weights + 2 * state)
    # gradients of h and c, and what the gradient needs again, are read; those of h and c before, and weights', written
    assert cell.backward_bytes == 3 * 4 * (2 * state + given + 2 * state + weights + 2 * state + weights)


@pytest.mark.parametrize(
    ("layer", "flops", "moved"),
    [
        (_L.Add(), 0, 0),
        (_L.Subtract(), 24, 2 * 4 * 24),
        (_L.Average(), 24, 2 * 4 * 24),
    ],
)
def test_gradients_that_are_passed_on_are_not_moved(layer: Any, flops: int, moved: int) -> None:
    inputs = keras.Input((4,))
    model = keras.Model(inputs, layer([_L.Dense(8, name="one")(inputs), _L.Dense(8, name="two")(inputs)]))
    row = _rows(model, tf.zeros((3, 4)))[layer.name]
    assert (row.backward_flops, row.backward_bytes) == (flops, moved)


def test_the_gradient_of_noise_is_passed_on() -> None:
    model = keras.Sequential([keras.Input((4,)), _L.Dense(8), _L.GaussianNoise(0.1, name="noise"), _L.Dense(2)])
    assert _rows(model, tf.zeros((3, 4)))["noise"].backward_bytes == 0


@pytest.mark.parametrize(("layer", "flops"), [(_L.Add(), 0), (_L.Multiply(), 2 * 72)])
def test_the_gradient_of_what_was_broadcast_is_a_sum(layer: Any, flops: int) -> None:
    inputs = keras.Input((3, 4))
    small = _L.Dense(8, name="small")(_L.GlobalAveragePooling1D(keepdims=True)(inputs))
    model = keras.Model(inputs, layer([_L.Dense(8, name="large")(inputs), small]))
    row = _rows(model, tf.zeros((3, 3, 4)))[layer.name]
    assert row.backward_flops == flops + 72
    if not flops:
        assert row.backward_bytes == 4 * (72 + 24)


def test_views_move_nothing_and_dropout_is_free_in_inference() -> None:
    model = keras.Sequential([keras.Input((4, 4)), _L.Flatten(name="view"), _L.Dropout(0.5, name="drop"), _L.Dense(2)])
    rows = _rows(model, tf.zeros((3, 4, 4)), mode="infer")
    assert [(row.forward_bytes, row.activation_bytes) for row in (rows["view"], rows["drop"])] == [(0, 0)] * 2
    drop = _rows(model, tf.zeros((3, 4, 4)))["drop"]
    assert (drop.forward_bytes, drop.activation_bytes) == (2 * 4 * 48, 4 * 48)


@pytest.mark.parametrize(
    ("optimizer", "flops", "moved"),
    [
        (keras.optimizers.SGD(), 2, 3),
        (keras.optimizers.SGD(momentum=0.9), 4, 5),
        (keras.optimizers.Adam(), 12, 7),
        (keras.optimizers.AdamW(), 15, 7),
        (keras.optimizers.RMSprop(), 9, 5),
        (keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam()), 14, 7),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_updates(optimizer: Any, flops: int, moved: int) -> None:
    model = keras.Sequential([keras.Input((5,)), _L.Dense(6, name="one")])
    row = _rows(model, tf.zeros((3, 5)), optimizer=optimizer)["one"]
    assert (row.optimizer_flops, row.optimizer_bytes) == (36 * flops, 36 * 4 * moved)


_MORE = {
    "SGD": ({}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}, {"weight_decay": 0.1}, {"use_ema": True}),
    "RMSprop": ({}, {"centered": True}, {"momentum": 0.9}),
    "Adam": ({}, {"amsgrad": True}),
}


@pytest.mark.parametrize(
    ("name", "options"), [(name, options) for name in optimizers._RULES for options in _MORE.get(name, ({},))]
)
def test_updates_have_the_operations_of_their_graphs(name: str, options: dict[str, Any]) -> None:
    optimizer, size = getattr(keras.optimizers, name)(**options), 1000
    variable = keras.Variable(tf.ones((size,)))
    optimizer.build([variable])
    update = tf.function(lambda gradient: optimizer.apply([gradient], [variable]), autograph=False)
    count = OpCounter().graph(update.get_concrete_function(tf.TensorSpec((size,))).graph)
    assert not count.uncounted
    assert count.other // size == optimizers.update_flops(optimizer, 1)


class _Swapped(_L.Dense):
    """A Dense that computes something else."""

    def call(self, inputs: Any, training: Any = None) -> Any:
        return keras.ops.exp(super().call(inputs) + 1.0)


class _Named(_L.Dense):
    """A Dense under another name."""


def test_a_subclass_with_its_own_call_is_counted_from_its_ops() -> None:
    model = keras.Sequential([keras.Input((5,)), _Swapped(6, name="own"), _Named(6, name="same")])
    rows = _rows(model, tf.zeros((3, 5)))
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
    rows = _rows(model, tf.zeros((5, 3)))
    assert (rows["own"].source, rows["own"].forward_flops, rows["own"].forward_bytes) == ("ops", 20, 4 * (2 * 20 + 1))
    assert rows["b"].backward_flops == 2 * 2 * 5 * 4 * 4 + 20
    assert (rows["c"].source, rows["c"].calls, rows["c"].output_shape) == ("none", 0, None)


def test_a_subclassed_model_may_be_built_by_counting() -> None:
    rows = _rows(_Subclassed(), tf.zeros((5, 3)))
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
    inner = _rows(_looped(7), tf.zeros((3, 4)))["inner"]
    assert (inner.calls, inner.macs, inner.detail) == (7, 7 * 3 * 4 * 4, "")
    assert _rows(_looped(None), tf.zeros((3, 4)))["inner"].calls == 7  # its condition says so
    unknown = _rows(_looped(7, lambda n, x: tf.reduce_sum(x) < 9.0), tf.zeros((3, 4)))["inner"]
    assert (unknown.calls, unknown.detail) == (1, "in a loop of unknown length: counted as one turn")


class _Filtered(_L.Layer):
    """Keeps the rows with a positive first value."""

    def call(self, x: Any) -> Any:
        return tf.boolean_mask(x, x[:, 0] > 0)


def test_shapes_that_depend_on_values_are_said() -> None:
    model = keras.Sequential([keras.Input((4,)), _Filtered(name="some"), _L.Dense(3, name="head")])
    head = _rows(model, tf.zeros((5, 4)))["head"]
    assert (head.source, head.macs, head.output_shape, head.params) == ("ops", 0, None, 15)
    assert head.detail == "not counted: shapes that depend on values"


def test_the_model_is_left_as_it_was() -> None:
    model = _cnn()
    before = [variable.numpy().tobytes() for variable in model.variables]
    layer_costs(model, tf.ones((2, 20, 20, 3)))
    assert [variable.numpy().tobytes() for variable in model.variables] == before
    assert not any("call" in vars(node.layer) for node in layer_tree(model))


class _Counting(_L.Layer):
    """Counts its calls in a variable of TensorFlow's own that no step reads."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.calls = tf.Variable(tf.zeros(()), trainable=False)

    def call(self, x: Any) -> Any:
        self.calls.assign_add(1.0)
        return x + 1.0


def test_an_op_without_results_is_counted() -> None:
    row = _rows(keras.Sequential([keras.Input((4,)), _Counting(name="own")]), tf.zeros((3, 4)))["own"]
    assert (row.source, row.forward_flops, row.detail) == ("ops", 12 + 1, "")


def test_what_a_rule_cannot_count_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ops.RULES, "AddV2", lambda op: (0, op.outputs[1].size))
    row = _rows(keras.Sequential([keras.Input((4,)), _Counting(name="own")]), tf.zeros((3, 4)))["own"]
    assert (row.forward_flops, row.detail) == (1, "not counted: AddV2 ops (IndexError)")


def test_a_formula_that_fails_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry._FORMULAS, _L.Dense, lambda call: call.missing)
    row = _rows(keras.Sequential([keras.Input((4,)), _L.Dense(2, name="one")]), tf.zeros((3, 4)))["one"]
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
    rows = _rows(keras.Sequential([keras.Input((2,)), _Around(name="around")]), tf.zeros((3, 2)))
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


def test_published_macs_of_a_cheap_network() -> None:
    model = keras.applications.MobileNet(weights=None)
    rows = layer_costs(model, tf.zeros((1, 224, 224, 3)), mode="infer")
    assert sum(row.macs for row in rows) == pytest.approx(569e6, rel=0.02)
    assert {row.source for row in rows} == {"formula"}
