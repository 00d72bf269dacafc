"""The measured step against `model.train_on_batch`: the same weights, bit for bit, after five steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from tfopt.errors import InputError
from tfopt.model.layers import layer_tree
from tfopt.workload.device import place
from tfopt.workload.scopes import Scopes
from tfopt.workload.step import training_step

Case = tuple[Callable[[], keras.Model], Callable[[np.random.Generator], tuple[Any, Any, Any]]]
SIZE = 16


def batchnorm_dropout_l2() -> keras.Model:
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(8, 3, kernel_regularizer="l2", name="conv")(inputs)
    x = layers.BatchNormalization()(x)
    x = layers.Dropout(0.4, seed=3)(layers.Flatten()(x))
    model = keras.Model(inputs, layers.Dense(5, activation="softmax", activity_regularizer="l1")(x))
    model.compile(keras.optimizers.Adam(1e-2), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def two_outputs() -> keras.Model:
    a, b = keras.Input((6,), name="a"), keras.Input((4,), name="b")
    x = layers.Dense(16, activation="relu")(layers.Concatenate()([a, b]))
    outputs = {"kind": layers.Dense(3, name="kind")(x), "size": layers.Dense(1, name="size")(x)}
    model = keras.Model({"a": a, "b": b}, outputs)
    model.compile(
        keras.optimizers.Adam(1e-2, weight_decay=1e-3, clipnorm=1.0),
        loss={"kind": keras.losses.SparseCategoricalCrossentropy(from_logits=True), "size": "mse"},
        loss_weights={"kind": 0.3, "size": 2.0},
    )
    return model


def masked() -> keras.Model:
    inputs = keras.Input((7,), dtype="int32")
    x = layers.Embedding(20, 8, mask_zero=True)(inputs)
    x = layers.LSTM(8, return_sequences=True)(x)
    model = keras.Model(inputs, layers.TimeDistributed(layers.Dense(4, activation="softmax"))(x))
    model.compile(keras.optimizers.Adam(1e-2, use_ema=True), "sparse_categorical_crossentropy")
    return model


def scaled() -> keras.Model:
    inputs = keras.Input((6,))
    model = keras.Model(inputs, layers.Dense(3, activation="softmax")(inputs))
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(1e-2))
    model.compile(optimizer, "sparse_categorical_crossentropy")
    return model


def accumulating() -> keras.Model:
    inputs = keras.Input((6,))
    model = keras.Model(inputs, layers.Dense(3, activation="softmax")(inputs))
    model.compile(keras.optimizers.Adam(1e-2, gradient_accumulation_steps=2), "sparse_categorical_crossentropy")
    return model


@keras.saving.register_keras_serializable("tests")
class OwnStep(keras.Sequential):
    """A model with its own training step: it trains on the negated target."""

    def train_step(self, data: Any) -> dict[str, Any]:
        x, y, _ = keras.utils.unpack_x_y_sample_weight(data)
        with tf.GradientTape() as tape:
            loss = self.compute_loss(x, -y, self(x, training=True))
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
        return {"loss": loss}


def own_step() -> keras.Model:
    model = OwnStep([keras.Input((6,)), layers.Dense(1)])
    model.compile(keras.optimizers.Adam(1e-2), "mse")
    return model


def _images(rng: np.random.Generator) -> tuple[Any, Any, Any]:
    return rng.random((SIZE, 8, 8, 3), "float32"), rng.integers(0, 5, SIZE), rng.random(SIZE, "float32")


def _pairs(rng: np.random.Generator) -> tuple[Any, Any, Any]:
    x = {"a": rng.random((SIZE, 6), "float32"), "b": rng.random((SIZE, 4), "float32")}
    return x, {"kind": rng.integers(0, 3, SIZE), "size": rng.random((SIZE, 1), "float32")}, None


def _tokens(rng: np.random.Generator) -> tuple[Any, Any, Any]:
    return rng.integers(0, 20, (SIZE, 7)).astype("int32"), rng.integers(0, 4, (SIZE, 7)), None


def _features(rng: np.random.Generator) -> tuple[Any, Any, Any]:
    return rng.random((SIZE, 6), "float32"), rng.integers(0, 3, SIZE), None


def _regression(rng: np.random.Generator) -> tuple[Any, Any, Any]:
    return rng.random((SIZE, 6), "float32"), rng.random((SIZE, 1), "float32"), None


CASES: dict[str, Case] = {
    "batchnorm, dropout, L2, sample weights": (batchnorm_dropout_l2, _images),
    "two outputs and losses": (two_outputs, _pairs),
    "masks, EMA": (masked, _tokens),
    "loss scaling": (scaled, _features),
    "gradient accumulation": (accumulating, _features),
    "own train_step": (own_step, _regression),
}


def _state(model: keras.Model) -> list[np.ndarray]:
    kept = [*model.trainable_variables, *model.non_trainable_variables, *model.optimizer.variables]
    return [np.copy(variable.numpy()) for variable in kept]


@pytest.mark.parametrize("name", CASES)
def test_five_steps_equal_train_on_batch(name: str) -> None:
    build, draw = CASES[name]
    reference, measured = (_fresh(build) for _ in range(2))
    x, y, weight = draw(np.random.default_rng(1))
    step = training_step(measured, Scopes(layer_tree(measured)), place("cpu"), xla=False, eager=False)
    as_tensors = keras.tree.map_structure(tf.constant, (x, y))
    for _ in range(5):
        reference.train_on_batch(x, y, sample_weight=weight)
        step(*as_tensors, None if weight is None else tf.constant(weight))
    before = _state(_fresh(build))
    ours, theirs = _state(measured), _state(reference)
    assert len(ours) == len(theirs)
    for left, right in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(left, right)
    assert any((left != right).any() for left, right in zip(ours, before, strict=False)), "nothing was trained"
    assert step.retraces() == ()


def _fresh(build: Callable[[], keras.Model]) -> keras.Model:
    keras.utils.set_random_seed(7)
    model = build()
    model.optimizer.build(model.trainable_variables)
    return model


def test_xla_and_eager_train_too() -> None:
    for options in ({"xla": True, "eager": False}, {"xla": False, "eager": True}):
        model = _fresh(scaled)
        step = training_step(model, Scopes(layer_tree(model)), place("cpu"), **options)
        x, y, _ = _features(np.random.default_rng(1))
        losses = [float(step(tf.constant(x), tf.constant(y), None)) for _ in range(30)]
        assert losses[-1] < losses[0]


def test_custom_step_is_named() -> None:
    model = _fresh(own_step)
    step = training_step(model, Scopes(layer_tree(model)), place("cpu"), xla=False, eager=False)
    assert step.source == "OwnStep.train_step"


class OwnFunction(keras.Sequential):
    """A model that replaces the whole train function."""

    def make_train_function(self, force: bool = False) -> Any:
        return super().make_train_function(force)


def test_replaced_train_function_is_refused_by_name() -> None:
    model = OwnFunction([keras.Input((6,)), layers.Dense(1)])
    model.compile("adam", "mse")
    with pytest.raises(InputError, match="OwnFunction has its own make_train_function"):
        training_step(model, Scopes(layer_tree(model)), place("cpu"), xla=False, eager=False)


def test_keras_is_left_as_it_was() -> None:
    model = _fresh(batchnorm_dropout_l2)
    layer = model.layers[1]
    before = set(vars(layer)), set(vars(model)), set(vars(model.optimizer))
    step = training_step(model, Scopes(layer_tree(model)), place("cpu"), xla=False, eager=False)
    x, y, _ = _images(np.random.default_rng(1))
    step(tf.constant(x), tf.constant(y), None)
    for target, names in zip((layer, model, model.optimizer), before, strict=True):
        added = set(vars(target)) - names
        assert not {"call", "compute_loss", "apply", "update_step"} & added


def test_private_names_of_keras_exist() -> None:
    model = _fresh(batchnorm_dropout_l2)
    layer = model.layers[1]
    for target, name in [
        (keras.src.backend.name_scope("a"), "_tf_name_scope"),
        (layer, "_trainable_variables"),
        (layer, "_dtype_policy"),
        (model, "_flatten_layers"),
        (model, "_compute_loss"),
        (model, "_call_has_training_arg"),
    ]:
        assert hasattr(target, name), name


def test_retraces_name_the_argument() -> None:
    model = _fresh(scaled)
    step = training_step(model, Scopes(layer_tree(model)), place("cpu"), xla=False, eager=False)
    x, y, _ = _features(np.random.default_rng(1))
    for size in (16, 9, 16):
        step(tf.constant(x[:size]), tf.constant(y[:size]), None)
    (retrace,) = step.retraces()
    assert (retrace.argument, retrace.before, retrace.after) == ("x", "float32(16, 6)", "float32(9, 6)")


def test_a_name_with_spaces_trains_though_keras_cannot() -> None:
    model = keras.Sequential([keras.Input((6,)), layers.Dense(3, name="my [red] dense 1")], name="my model")
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.optimizer.build(model.trainable_variables)
    scopes = Scopes(layer_tree(model))
    x, y, _ = _features(np.random.default_rng(1))
    training_step(model, scopes, place("cpu"), xla=False, eager=False)(tf.constant(x), tf.constant(y), None)
    assert scopes.calls["my model/my [red] dense 1"] == 1
    found = scopes.table.place("gradient_tape/my_model_1/my__red__dense_1_1/MatMul/MatMul")
    assert found is not None
    assert (found.layer, found.phase) == ("my model/my [red] dense 1", "backward")
