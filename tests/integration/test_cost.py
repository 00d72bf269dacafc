"""Costs of whole models: what belongs to which layer, and which gradients are needed and moved."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import pytest
import tensorflow as tf

from tests.integration.cost_cases import backward_count, cost_rows, counted
from tfopt.model.cost import layer_costs
from tfopt.model.layers import layer_tree

_L = keras.layers


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
    rows = cost_rows(model, tf.zeros((3, 5)))
    assert (rows["one"].backward_flops, rows["one"].backward_bytes) == (0, 0)
    assert (rows["one"].params, rows["one"].trainable_params) == (36, 0)
    assert rows["two"].backward_flops == 2 * 3 * 6 * 7 + 3 * 7
    model.layers[0].trainable, model.layers[1].trainable = True, False
    rows = cost_rows(model, tf.zeros((3, 5)))
    assert rows["one"].backward_flops == 2 * 3 * 5 * 6 + 3 * 6
    assert rows["two"].backward_flops == 2 * 3 * 6 * 7


def test_stopped_gradients_stop() -> None:
    inputs = keras.Input((5,))
    cut = keras.ops.stop_gradient(_L.Dense(6, name="dense")(inputs))
    rows = cost_rows(keras.Model(inputs, _L.Dense(7, name="after")(cut)), tf.zeros((3, 5)))
    assert rows["dense"].backward_flops == rows["dense"].backward_bytes == 0
    assert rows["after"].backward_flops == 2 * 3 * 6 * 7 + 3 * 7


def test_inference_has_a_forward_pass_only() -> None:
    rows = layer_costs(_cnn(), tf.zeros((2, 20, 20, 3)), mode="infer", optimizer=keras.optimizers.Adam())
    assert all(row.backward_flops == row.backward_bytes == row.optimizer_flops == 0 for row in rows)
    batch_norm = next(row for row in rows if row.type == "BatchNormalization")
    assert batch_norm.forward_flops == 2 * (2 * 18 * 18 * 8) + 5 * 8


def test_bytes_are_those_of_the_dtypes_that_are_computed_in() -> None:
    model = keras.Sequential([keras.Input((5,)), _L.Dense(6, name="one"), _L.Dense(7, name="two", dtype="float64")])
    rows = cost_rows(model, tf.zeros((3, 5)))
    assert rows["one"].forward_bytes == 4 * (3 * 5 + 5 * 6 + 6 + 3 * 6)
    assert rows["one"].activation_bytes == 4 * 3 * 6
    assert rows["two"].forward_bytes == 8 * (3 * 6 + 6 * 7 + 7 + 3 * 7)
    # dy, x and the weights are read, dx and the weights' gradients written
    assert rows["two"].backward_bytes == 8 * (3 * 7 + 3 * 6 + 49 + 3 * 6 + 49)
    mixed = keras.Sequential([keras.Input((5,)), _L.Dense(6, dtype="mixed_bfloat16", name="half")])
    half = cost_rows(mixed, tf.zeros((3, 5)))["half"]
    assert half.forward_bytes == 2 * 3 * 5 + 4 * 36 + 2 * 3 * 6
    assert (half.weight_bytes, half.activation_bytes) == (4 * 36, 2 * 3 * 6)


def test_a_cell_s_output_that_is_its_state_is_moved_once() -> None:
    model = keras.Sequential([keras.Input((3, 4)), _L.LSTM(5)])
    cell = cost_rows(model, tf.zeros((2, 3, 4)))["lstm_cell"]
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
    row = cost_rows(model, tf.zeros((3, 4)))[layer.name]
    assert (row.backward_flops, row.backward_bytes) == (flops, moved)


def test_the_gradient_of_noise_is_passed_on() -> None:
    model = keras.Sequential([keras.Input((4,)), _L.Dense(8), _L.GaussianNoise(0.1, name="noise"), _L.Dense(2)])
    assert cost_rows(model, tf.zeros((3, 4)))["noise"].backward_bytes == 0


@pytest.mark.parametrize(("layer", "flops"), [(_L.Add(), 0), (_L.Multiply(), 2 * 72)])
def test_the_gradient_of_what_was_broadcast_is_a_sum(layer: Any, flops: int) -> None:
    inputs = keras.Input((3, 4))
    small = _L.Dense(8, name="small")(_L.GlobalAveragePooling1D(keepdims=True)(inputs))
    model = keras.Model(inputs, layer([_L.Dense(8, name="large")(inputs), small]))
    row = cost_rows(model, tf.zeros((3, 3, 4)))[layer.name]
    assert row.backward_flops == flops + 72
    if not flops:
        assert row.backward_bytes == 4 * (72 + 24)


def test_views_move_nothing_and_dropout_is_free_in_inference() -> None:
    model = keras.Sequential([keras.Input((4, 4)), _L.Flatten(name="view"), _L.Dropout(0.5, name="drop"), _L.Dense(2)])
    rows = cost_rows(model, tf.zeros((3, 4, 4)), mode="infer")
    assert [(row.forward_bytes, row.activation_bytes) for row in (rows["view"], rows["drop"])] == [(0, 0)] * 2
    drop = cost_rows(model, tf.zeros((3, 4, 4)))["drop"]
    assert (drop.forward_bytes, drop.activation_bytes) == (2 * 4 * 48, 4 * 48)


def test_the_model_is_left_as_it_was() -> None:
    model = _cnn()
    before = [variable.numpy().tobytes() for variable in model.variables]
    layer_costs(model, tf.ones((2, 20, 20, 3)))
    assert [variable.numpy().tobytes() for variable in model.variables] == before
    assert not any("call" in vars(node.layer) for node in layer_tree(model))


def test_published_macs_of_a_cheap_network() -> None:
    model = keras.applications.MobileNet(weights=None)
    rows = layer_costs(model, tf.zeros((1, 224, 224, 3)), mode="infer")
    assert sum(row.macs for row in rows) == pytest.approx(569e6, rel=0.02)
    assert {row.source for row in rows} == {"formula"}
