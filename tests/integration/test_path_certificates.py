"""Path weights are called consistent where they are, and where they are not the layer at fault is named."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from bench.certificates import network
from tfopt.errors import InputError
from tfopt.model.load import load
from tfopt.pathways.certificates import BETWEEN
from tfopt.pathways.path_weights import path_weights
from tfopt.pathways.rules import registry
from tfopt.pathways.rules.registry import Call, rule
from tfopt.records.influence import PathReport

L = keras.layers
# The others add kinds of layers that `test_path_rules` tries; `bench.certificates` has all of them.
FAST = ("MobileNetV3Small", "ResNet50")


class Does(L.Layer):
    """A layer that is what a function says."""

    def __init__(self, function: Callable[..., Any], shape: tuple[int, ...] | None = None) -> None:
        super().__init__(name="does")
        self.function, self.shape = function, shape

    def build(self, _: Any) -> None:
        if self.shape is not None:  # the name says nothing
            self.first = self.add_weight(shape=self.shape, initializer=keras.initializers.RandomUniform(0.1, 0.9))
            self.second = self.add_weight(shape=self.shape[-1:], initializer=keras.initializers.RandomUniform(0.1, 0.9))

    def call(self, x: Any) -> Any:
        return self.function(x) if self.shape is None else self.function(x, self.first, self.second)


class Written(keras.Model):
    """A model whose `call` is Python."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(name="written")
        self.before, self.middle, self.after = (L.Dense(5, use_bias=False) for _ in range(3))
        self.own = self.add_weight(shape=(5,), initializer="ones")
        self.function = function

    def call(self, x: Any) -> Any:
        x = self.before(x)
        return self.after(self.function(x, self.middle(x), self.own))


def _around(*layers: Any) -> keras.Model:
    return keras.Sequential([keras.Input((6,)), L.Dense(6), *layers, L.Dense(3)], name="model")


def _haar(x: Any) -> Any:
    return tf.concat([x[:, ::2] + x[:, 1::2], x[:, ::2] - x[:, 1::2]], -1)


def _counting() -> Callable[[Any], Any]:
    """Remembers how often it was called."""
    calls: list[int] = []

    def function(x: Any) -> Any:
        calls.append(0)
        return x * float(len(calls))

    return function


WRONG: dict[str, Callable[[], Any]] = {
    "tanh": lambda: Does(tf.nn.tanh),
    "difference": lambda: Does(lambda x: x[:, 1:] - x[:, :-1]),
    "haar": lambda: Does(_haar),
    "minus mean": lambda: Does(lambda x: x - tf.reduce_mean(x, -1, keepdims=True)),
    "maximum": lambda: Does(lambda x: tf.reduce_max(x, -1, keepdims=True)),
    "plus one": lambda: Does(lambda x: x + 1),
    "far clip": lambda: Does(lambda x: tf.minimum(x, 1e5)),
    "own norm": lambda: Does(lambda x: x / tf.norm(x, axis=-1, keepdims=True)),
    "stateful": lambda: Does(_counting()),
    "half gradient": lambda: Does(lambda x: x + tf.stop_gradient(x)),
    "one minus weight": lambda: Does(lambda x, w, v: x * (1 - v), (6, 6)),
    "sigmoid of weight": lambda: Does(lambda x, w, v: x * tf.sigmoid(v), (6, 6)),
    "weight twice": lambda: Does(lambda x, w, v: x @ w @ tf.transpose(w), (6, 6)),
    "weight on both sides": lambda: Does(lambda x, w, v: x * v + v, (6, 6)),
    "not elementwise": lambda: L.Dense(4, activation=lambda x: x - tf.reduce_mean(x, -1, keepdims=True), name="does"),
    "softmax inside": lambda: L.Softmax(name="does"),
}


def _failed(report: PathReport) -> dict[str, str | None]:
    assert report.consistent == all(each.met for each in report.certificates)
    return {each.name: each.layer for each in report.certificates if not each.met}


@pytest.mark.parametrize("name", WRONG)
def test_not_certified(name: str) -> None:
    keras.utils.set_random_seed(1)
    failed = _failed(path_weights(_around(WRONG[name]())))
    assert set(failed.values()) == {"model/does"}


@pytest.mark.parametrize(
    "function",
    [
        lambda x, y, own: x - 0.01 * y,
        lambda x, y, own: tf.nn.softmax(y),
        lambda x, y, own: x * tf.sigmoid(own),
        lambda x, y, own: x + own,
    ],
    ids=["difference", "softmax", "sigmoid of weight", "weight that is added"],
)
def test_python_between_layers_is_at_fault(function: Callable[..., Any]) -> None:
    keras.utils.set_random_seed(1)
    model = Written(function)
    model(tf.zeros((1, 6)))
    assert set(_failed(path_weights(model)).values()) == {BETWEEN}


@pytest.mark.parametrize(
    "function", [lambda x, y, own: x + y, lambda x, y, own: tf.nn.relu(x) * own], ids=["sum", "product"]
)
def test_python_between_layers_that_is_right(function: Callable[..., Any]) -> None:
    model = Written(function)
    model(tf.zeros((1, 6)))
    report = path_weights(model)
    assert report.consistent, report.certificates


def test_unnamed_weights_multiply_or_are_added() -> None:
    report = path_weights(_around(Does(lambda x, w, v: x @ w + v, (6, 4))), biases="include")
    assert report.consistent, report.certificates
    assert [row.status for row in report.variables if row.layer == "model/does"] == ["weight", "offset"]


@pytest.mark.parametrize("options", [{"maxpool": "max"}, {"biases": "include"}, {"dtype": "float32"}], ids=str)
def test_options(options: Any) -> None:
    layers = [L.Conv2D(3, 3), L.BatchNormalization(), L.ReLU(6.0), L.MaxPooling2D(), L.Flatten(), L.Dense(2)]
    model = keras.Sequential([keras.Input((8, 8, 2)), *layers])
    report = path_weights(model, **options)
    assert report.consistent, report.certificates
    assert {each.name for each in report.certificates} >= {
        "homogeneity" if options.get("maxpool") == "max" else "additivity", "non-negativity"
    }  # fmt: skip


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision(policy: str) -> None:
    layers = [L.Dense(8, "relu"), L.BatchNormalization(), L.LayerNormalization(), L.Dense(4, "gelu"), L.Dense(3)]
    for layer in layers:
        layer.dtype_policy = policy
    report = path_weights(keras.Sequential([keras.Input((6,)), *layers]))
    assert report.consistent, report.certificates
    assert report.dtype == "float64"


@pytest.mark.parametrize(
    "function",
    [lambda x: tf.cast(x, tf.float32) * 2.0, lambda x: x * tf.ones((6,), "float32")],
    ids=["cast", "constant"],
)
def test_a_layer_that_insists_on_float32(function: Callable[..., Any]) -> None:
    report = path_weights(_around(Does(function)))
    assert report.consistent, report.certificates
    assert (report.dtype, report.dtype_reason) == ("float32", "model/does computes in float32")
    assert report.normalised


def test_float32_where_tensorflow_has_no_kernel() -> None:
    layers = [L.Conv3D(2, 2), L.MaxPooling3D(2), L.Flatten(), L.Dense(2)]
    report = path_weights(keras.Sequential([keras.Input((5, 5, 5, 1)), *layers]))
    assert report.consistent, report.certificates
    assert (report.dtype, report.dtype_reason) == ("float32", "TensorFlow has no AvgPool3D in float64 here")


def test_rows_that_numbers_of_any_dtype_choose() -> None:
    """Keras lets Embedding take floats: they are no values that paths start from."""
    inputs = keras.Input((5,))
    x = L.GlobalAveragePooling1D()(L.Embedding(10, 4)(inputs))
    report = path_weights(keras.Model(inputs, L.Dense(2)(x)))
    assert report.consistent, report.certificates


def test_activations_of_users() -> None:
    """One that acts on each number is as good as Keras's; one that is a layer has that layer's rule."""
    layers = [L.Dense(5, activation=lambda x: x * tf.abs(x)), L.Dense(5, activation=L.LeakyReLU()), L.Dense(2)]
    report = path_weights(keras.Sequential([keras.Input((6,)), *layers]))
    assert report.consistent, report.certificates
    assert [row.status for row in report.layers] == ["linearised", "exact", "exact"]


class Changed(L.Dense):
    """Keras's rule for Dense does not hold here."""

    def call(self, x: Any) -> Any:
        return super().call(x) - x[:, : self.units]


def test_a_subclass_with_another_call_has_no_rule() -> None:
    keras.utils.set_random_seed(1)
    assert set(_failed(path_weights(_around(Changed(5, name="does")))).values()) == {"model/does"}


class Gated(L.Layer):
    """Multiplies with a learned gate."""

    def build(self, shape: Any) -> None:
        self.kernel = self.add_weight(shape=(shape[-1], 4), name="kernel")
        self.gate = self.add_weight(shape=(shape[-1], 4), name="gate")

    def call(self, x: Any) -> Any:
        return x @ self.kernel * tf.sigmoid(x @ self.gate)


def test_the_example_of_the_registry_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is written there."""
    monkeypatch.setattr(registry, "_RULES", dict(registry._RULES))
    model = _around(Gated(name="does"))
    assert not path_weights(model).consistent
    example = (rule.__doc__ or "").partition("Example:")[2].partition("Args:")[0]
    code = textwrap.dedent(" " * 12 + example[example.index("from tfopt") :])
    exec(code, {"Gated": Gated, "tf": tf})
    report = path_weights(model)
    assert report.consistent, report.certificates
    (row,) = [row for row in report.layers if row.path == "model/does"]
    assert (row.status, row.reasons) == ("approximated", ("gate frozen",))


def test_a_wrong_rule_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_RULES", dict(registry._RULES))

    @rule(Gated)
    def _wrong(call: Call) -> Any:
        return call.x @ call.value(call.layer.kernel) - call.x[:, :4]

    assert set(_failed(path_weights(_around(Gated(name="does")))).values()) == {"model/does"}


def test_scaling_a_unit_by_a_power_of_two_changes_nothing() -> None:
    """A ReLU's weights and bias, or behind BatchNormalization its γ and β, times 4 and what follows divided by 4."""
    plain, normalised = L.Dense(5, "relu"), L.BatchNormalization()
    following = [L.Dense(4), L.Dense(3)]
    model = keras.Sequential([keras.Input((6,)), plain, following[0], normalised, L.ReLU(), following[1]])
    draw = np.random.default_rng(1)
    for variable in model.variables:
        variable.assign(draw.uniform(0.5, 1.5, variable.shape))
    reports = []
    for _ in range(2):
        reports.append(path_weights(model, biases="include", top=10**6))
        for variable, unit, factor in (
            (plain.kernel, np.s_[:, 2], 4), (plain.bias, np.s_[2], 4), (following[0].kernel, np.s_[2], 0.25),
            (normalised.gamma, np.s_[1], 4), (normalised.beta, np.s_[1], 4), (following[1].kernel, np.s_[1], 0.25),
        ):  # fmt: skip
            value = variable.numpy()
            value[unit] *= factor
            variable.assign(value)
    before, after = ({(row.variable, row.index): row.share for row in report.strongest} for report in reports)
    assert after == pytest.approx(before, rel=1e-10)
    assert reports[1].log10_total == pytest.approx(reports[0].log10_total, rel=1e-10)


def test_normalised_float32_is_as_good_in_a_deep_network() -> None:
    """Its total is beyond what float32 holds."""
    large = keras.initializers.RandomUniform(-100, 100)
    layers = [L.Dense(8, "relu", kernel_initializer=large) for _ in range(16)]
    model = keras.Sequential([keras.Input((32,)), *layers, L.Dense(4)])
    high, low = (path_weights(model, dtype=dtype) for dtype in ("float64", "float32"))
    assert high.log10_total is not None
    assert high.log10_total > 38.6
    assert low.normalised
    assert low.consistent, low.certificates
    assert low.log10_total == pytest.approx(high.log10_total, abs=1e-4)
    for row, other in zip(high.units, low.units, strict=True):
        assert dict(other.top) == pytest.approx(dict(row.top), rel=1e-4)


def test_a_saved_model_has_no_layers(tmp_path: Path) -> None:
    _around().export(tmp_path / "saved", verbose=False)
    with pytest.raises(InputError, match="no layers"):
        path_weights(load(str(tmp_path / "saved")).model)


@pytest.mark.parametrize("name", FAST)
def test_applications(name: str) -> None:
    report = path_weights(network(name))
    assert report.consistent, report.certificates
    assert all(each.value is not None and each.value <= 1e-8 for each in report.certificates)
    assert not [row.path for row in report.layers if row.status == "as is"]
