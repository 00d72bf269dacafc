"""Health on real TensorFlow: measured facts, models of many kinds, what is wrong with them, and nothing changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from tfopt.errors import RunFailed, UsageError
from tfopt.pathways.health import Checkup, health
from tfopt.records.health import HealthReport

LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
N = keras.initializers.RandomNormal


def _data(*shape: int, size: int = 256, classes: int = 10) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    return rng.standard_normal((size, *shape)).astype("float32"), rng.integers(0, classes, size)


def _deep(activation: str, depth: int = 20) -> keras.Model:
    hidden = [layers.Dense(64, activation=activation) for _ in range(depth)]
    return keras.Sequential([keras.Input((64,)), *hidden, layers.Dense(10)])


def _initialize(model: keras.Model, initializers: Sequence[Any]) -> None:
    """Each layer's kernel by an initializer of its own: one that is shared gives them all the same weights."""
    keras.utils.set_random_seed(0)
    for layer, initializer in zip(model.layers, initializers, strict=False):
        kind = keras.initializers.get(initializer)
        config = {key: value for key, value in kind.get_config().items() if key != "seed"}
        layer.kernel.assign(type(kind)(**config)(layer.kernel.shape))


def _ids(report: HealthReport) -> set[str]:
    return {each.id for each in report.warnings}


FACTS: dict[str, list[tuple[Any, float, float, set[str]]]] = {
    "relu": [
        ("he_normal", 0.993, 1.007, set()),
        ("glorot_uniform", 0.659, 0.686, {"vanishing-signal", "vanishing-gradient"}),
        (N(stddev=0.05), 0.257, 0.278, {"vanishing-signal", "vanishing-gradient"}),
        (N(stddev=0.5), 2.56, 2.79, {"exploding-signal", "exploding-gradient"}),
    ],
    "tanh": [
        ("glorot_uniform", 0.929, 0.932, set()),
        (N(stddev=0.5), 1.0, 1.55, {"exploding-gradient", "saturation"}),
    ],
    "sigmoid": [("glorot_uniform", 1.0, 0.237, {"vanishing-gradient", "gradient-spread"})],
}


@pytest.mark.parametrize(("activation", "depth"), [("relu", 20), ("tanh", 20), ("sigmoid", 10)])
def test_measured_gains_of_deep_nets(activation: str, depth: int) -> None:
    model = _deep(activation, depth)
    checkup = Checkup(model, loss=LOSS)
    for initializer, forward, backward, expected in FACTS[activation]:
        _initialize(model, [initializer] * depth)
        report = checkup.run(*_data(64))
        assert report.forward_gain == pytest.approx(forward, rel=0.08), initializer
        assert report.backward_gain == pytest.approx(backward, rel=0.08), initializer
        assert _ids(report) == expected, initializer
        if initializer in ("he_normal", "glorot_uniform"):
            usual = 1.0 if activation == "relu" else report.forward_gain
            assert report.forward is not None
            assert report.forward.expected == pytest.approx(usual, rel=0.08)
    if activation == "tanh":
        shares = [each.saturated for each in report.activations]
        assert np.mean([share for share in shares if share is not None]) == pytest.approx(0.61, abs=0.02)


def test_numbers_are_those_of_a_plain_tape() -> None:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8,))
    hidden = layers.Dense(16, activation="relu", name="a")(inputs)
    model = keras.Model(inputs, layers.Dense(3, name="b")(layers.Add()([hidden, hidden * 0.5])))
    x, y = _data(8, classes=3)
    report = health(model, x, y, loss=LOSS)
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        before = x @ model.get_layer("a").kernel + model.get_layer("a").bias
        tape.watch(before)
        h = tf.nn.relu(before)
        tape.watch(h)
        loss = LOSS(y, model.get_layer("b")(h + h * 0.5))
    of_before, of_h, of_kernel = tape.gradient(loss, [before, h, model.get_layer("a").kernel.value])
    rms = lambda t: float(tf.sqrt(tf.reduce_mean(tf.square(t))))  # noqa: E731
    first, function, kernel = report.layers[0], report.activations[0], report.variables[0]
    assert report.loss == pytest.approx(float(loss), rel=1e-5)
    assert (first.path, first.type) == (f"{model.name}/a", "Dense")
    assert (first.input_rms, first.output_rms) == pytest.approx((rms(x), rms(h)), rel=1e-5)
    assert first.gradient_rms == pytest.approx(rms(of_h), rel=1e-4)
    assert first.expected_forward_gain == pytest.approx(1, rel=1e-4)  # He: Glorot's weights would be checked against it
    assert function.zero == pytest.approx(float(tf.reduce_mean(tf.cast(h == 0, tf.float32))), rel=1e-5)
    assert function.dead == pytest.approx(float(tf.reduce_mean(tf.cast(tf.reduce_max(h, 0) == 0, tf.float32))))
    assert function.gradient_flow == pytest.approx(rms(of_before) / rms(of_h), rel=1e-4)
    assert (function.units, function.values_per_unit) == (16, 256)
    assert function.flops == 2 * 16 * 256
    assert function.layer_flops is not None
    assert function.layer_flops > 2 * 8 * 16 * 256
    assert kernel.gradient_norm == pytest.approx(float(tf.norm(of_kernel)), rel=1e-4)
    assert kernel.norm == pytest.approx(float(np.linalg.norm(model.get_layer("a").kernel)), rel=1e-5)


def test_every_way_to_apply_a_function_is_seen() -> None:
    inputs = keras.Input((8,))
    x = layers.Dense(8, activation="tanh", name="inside")(inputs)
    x = layers.ReLU(max_value=6, name="layer")(layers.Dense(8)(x))
    x = layers.Activation("gelu", name="named")(x)
    x = keras.ops.sigmoid(x)
    x = layers.Dense(8, activation=lambda t: keras.ops.relu(t) * 2.0, name="own")(x)
    x = layers.Dense(8, activation=layers.LeakyReLU(name="nested"), name="holder")(x)
    x = layers.TimeDistributed(layers.Dense(4, activation="relu"))(layers.Reshape((2, 4))(x))
    x = layers.GRU(4, name="gru")(x)
    model = keras.Model(inputs, layers.Dense(3, activation="softmax", name="out")(x), name="m")
    report = health(model, *_data(8, classes=3))
    seen = [(each.path, each.function) for each in report.activations]
    assert ("m/inside", "tanh") in seen
    assert ("m/layer", "relu6") in seen
    assert ("m/named", "gelu") in seen
    assert ("m/own", "<lambda>") in seen
    assert any(function == "leaky_relu" for _, function in seen)
    assert sum(function == "sigmoid" for _, function in seen) == 1
    assert not any("gru" in path for path, _ in seen)
    assert seen[-1] == ("m/out", "softmax")
    assert report.activations[-1].output
    assert any(each.path == "m/gru" for each in report.layers)
    assert not any("gru_cell" in each.path for each in report.layers)
    assert "softmax" in report.loss_function


class Shared(keras.Model):
    """One layer called twice, Python between the layers, a layer that is never used, and two outputs."""

    def __init__(self) -> None:
        super().__init__(name="shared")
        self.twice = layers.Dense(8, activation="relu", name="twice")
        self.inner = keras.Sequential([layers.Dense(8, "relu"), layers.Dropout(0.5)], name="inner")
        self.norm = layers.BatchNormalization(name="norm")
        self.head = layers.Dense(3, name="head")
        self.lonely = layers.Dense(8, name="lonely")

    def call(self, x: Any, training: bool = False) -> Any:
        h = self.twice(self.twice(x) + x)
        h = self.norm(h + self.inner(h, training=training), training=training)
        return {"a": self.head(h), "b": self.lonely(h)}


def _state(model: keras.Model) -> list[bytes]:
    return [variable.numpy().tobytes() for variable in model.variables]


def test_subclassed_with_two_outputs_and_nothing_changes() -> None:
    model = Shared()
    x, y = _data(8, classes=3)
    model(x)
    model.compile("adam", loss={"a": LOSS, "b": None})
    before, attributes = _state(model), dict(vars(model))
    calls = [vars(layer).get("call") for layer in model._flatten_layers()]
    report = health(model, x, {"a": y, "b": None})
    assert [(each.path, each.call) for each in report.layers if each.path.endswith("twice")] == [
        ("shared/twice", 1),
        ("shared/twice", 2),
    ]
    [warning] = report.warnings
    assert warning.id == "no-gradient"
    assert warning.layers == ("shared/lonely",)
    without = [each for each in report.variables if each.gradient_norm is None]
    assert {each.path.rpartition("/")[2] for each in without} == {"kernel", "bias"}
    assert all(each.ratio is None for each in without)
    again = health(model, x, {"a": y, "b": None})
    assert again.loss == report.loss  # Dropout is off
    with pytest.raises(RunFailed):
        health(model, x, {"a": np.zeros((7, 7, 7), "int32"), "b": None})
    assert _state(model) == before
    assert dict(vars(model)) == attributes
    assert [vars(layer).get("call") for layer in model._flatten_layers()] == calls
    assert model._compile_loss.built is False
    assert all(layer.activation is keras.activations.relu for layer in (model.twice, model.inner.layers[0]))


def test_mixed_precision_scales_the_loss() -> None:
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((8,)), *(layers.Dense(8, "relu", dtype="mixed_float16") for _ in range(3)), layers.Dense(3)]
    )
    same = keras.Sequential([keras.Input((8,)), *(layers.Dense(8, "relu") for _ in range(3)), layers.Dense(3)])
    same.set_weights(model.get_weights())
    x, y = _data(8, classes=3)
    y = y.astype("float32")[:, None] * np.ones(3, "float32")
    small, plain = (health(each, x, y, loss=lambda y, p: 1e-6 * keras.ops.mean((y - p) ** 2)) for each in (model, same))
    for half, full in zip(small.variables, plain.variables, strict=True):
        assert half.gradient_norm == pytest.approx(full.gradient_norm, rel=0.02)
    assert _ids(small) == set()


class Root(layers.Layer):
    """sqrt(|x|) at an x of zero: finite ahead, not behind."""

    def call(self, x: Any) -> Any:
        return keras.ops.sqrt(keras.ops.abs(x * 0.0))


@pytest.fixture(scope="module")
def dense() -> Checkup:
    hidden = [layers.Dense(32, activation="relu", name=name) for name in "abc"]
    return Checkup(keras.Sequential([keras.Input((8,)), *hidden, layers.Dense(3)], name="m"), loss=LOSS)


@pytest.mark.parametrize(
    ("variable", "change", "expected"),
    [
        ("b/kernel", lambda w: w * np.nan,
         {"nonfinite-weights": "m/b", "nonfinite-activations": "m/b", "nonfinite-loss": None}),
        ("b/bias", lambda w: w + 3e38, {"nonfinite-activations": "m/c", "nonfinite-loss": None}),
        ("a/bias", lambda w: w - 100, {"dead-units": "m/a"}),
        ("a/bias", lambda w: w, {}),
    ],
)  # fmt: skip
def test_damage_is_named(dense: Checkup, variable: str, change: Any, expected: dict[str, str | None]) -> None:
    _initialize(dense.model, ["he_normal"] * 4)
    for layer in dense.model.layers:
        layer.bias.assign(np.zeros(layer.bias.shape))
    layer, name = variable.split("/")
    damaged = getattr(dense.model.get_layer(layer), name)
    damaged.assign(change(damaged.numpy()))
    found = dense.run(*_data(8, classes=3)).warnings
    assert {each.id: next(iter(each.layers), None) for each in found} == expected


def test_inputs_that_are_not_finite(dense: Checkup) -> None:
    x, y = _data(8, classes=3)
    x[3, 2] = np.inf
    assert [each.id for each in dense.run(x, y).warnings][:1] == ["nonfinite-inputs"]


def test_gradients_that_are_not_finite() -> None:
    inputs = keras.Input((8,))
    x = Root(name="root")(layers.Dense(8, name="a")(inputs))
    report = health(keras.Model(inputs, layers.Dense(3)(x), name="m"), *_data(8, classes=3), loss=LOSS)
    [warning] = [each for each in report.warnings if each.id == "nonfinite-gradients"]
    assert warning.layers == ("m/a",)


def test_a_signal_below_what_squares_hold_is_measured() -> None:
    model = _deep("relu", depth=8)
    _initialize(model, [N(stddev=1e-4)] * 8)
    report = health(model, *_data(64), loss=LOSS)
    assert report.layers[7].output_rms is not None
    assert 0 < report.layers[7].output_rms < 1e-23
    assert report.forward_gain == pytest.approx(0.000514, rel=0.25)
    assert {"vanishing-signal", "initialization"} <= _ids(report)


@pytest.mark.parametrize("batch_norm", [True, False])
def test_healthy_nets_raise_no_alarm(batch_norm: bool) -> None:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(8, 3, padding="same")(inputs)
    for number in range(5):
        y = layers.Conv2D(8, 3, padding="same", use_bias=not batch_norm)(x)
        if batch_norm:  # some blocks add nothing yet, as is usual
            y = layers.BatchNormalization(gamma_initializer="zeros" if number % 2 else "ones")(y)
        x = layers.ReLU()(layers.Add()([x, y]))
    model = keras.Model(inputs, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))
    assert _ids(health(model, *_data(8, 8, 3, size=16), loss=LOSS)) == set()


def test_what_cannot_be_measured_is_an_error() -> None:
    model = keras.Sequential([layers.Dense(3)])
    with pytest.raises(UsageError):
        health(model, *_data(8, classes=3), loss=LOSS)
    model.build((None, 8))
    with pytest.raises(UsageError):
        health(model, *_data(8, size=0, classes=3), loss=LOSS)
