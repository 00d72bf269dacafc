"""Contributions on data, against contributions worked out by hand, and what must not change them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfopt.errors import InputError, RunFailed, TfoptError, UsageError
from tfopt.pathways.certificates import BETWEEN
from tfopt.pathways.relevance import relevance
from tfopt.pathways.saliency import weight_saliency
from tfopt.records.influence import RelevanceReport

L = keras.layers
pytestmark = pytest.mark.usefixtures("unoptimized")


def shaken(model: Any, seed: int = 0) -> Any:
    """No bias is zero and no statistic trivial."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        if keras.backend.is_float_dtype(weight.dtype):
            value = rng.normal(size=weight.shape) * 0.4 + 0.05
            weight.assign(np.abs(value) + 0.3 if "variance" in weight.name else value)
    return model


def mlp(activation: str = "relu", **options: Any) -> Any:
    layers = [L.Dense(6, activation, **options), L.Dense(5, activation, **options), L.Dense(3, "softmax", **options)]
    return shaken(keras.Sequential([L.Input((4,)), *layers]))


def small_convolutions() -> Any:
    """Skip and BatchNormalization."""
    x = keras.Input((8, 8, 3))
    h = L.ReLU()(L.BatchNormalization()(L.Conv2D(4, 3, padding="same")(L.Rescaling(0.5, -0.2)(x))))
    h = L.Add()([h, L.BatchNormalization()(L.Conv2D(4, 3, padding="same", use_bias=False)(h))])
    return shaken(keras.Model(x, L.Dense(3, "softmax")(L.GlobalAveragePooling2D()(L.MaxPooling2D()(h)))))


def gated_convolutions() -> Any:
    """Depthwise, silu, and a gate of squeezed channels."""
    x = keras.Input((8, 8, 3))
    h = L.Activation("silu")(L.DepthwiseConv2D(3, depth_multiplier=2)(x))
    gate = L.Dense(6, "sigmoid")(L.Dense(3, "silu")(L.GlobalAveragePooling2D()(h)))
    h = L.Concatenate()([L.Multiply()([h, L.Reshape((1, 1, 6))(gate)]), h])
    return shaken(keras.Model(x, L.Dense(3)(L.Flatten()(h))))


def transformer() -> Any:
    tokens = keras.Input((6,), dtype="int32")
    h = L.Embedding(11, 8, mask_zero=True)(tokens)
    h = L.LayerNormalization()(h + L.MultiHeadAttention(2, 4)(h, h))
    h = L.LayerNormalization()(h + L.Dense(8)(L.Dense(16, "gelu")(h)))
    return shaken(keras.Model(tokens, L.Dense(3, "softmax")(L.GlobalAveragePooling1D()(h))))


def recurrent(layer: Any) -> Any:
    return shaken(keras.Sequential([L.Input((6, 4)), layer, L.Dense(3)]))


class Residual(keras.Model):
    """Adds up in Python, calls a layer twice, has a model inside."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.inner = L.Dense(4, "tanh"), keras.Sequential([L.Dense(4, "relu"), L.Dense(4)])
        self.last = L.Dense(3)

    def call(self, x: Any) -> Any:
        h = self.first(x)
        h = h + self.inner(h)
        return keras.ops.softmax(self.last(h + self.inner(h)))


def subclassed() -> Any:
    model = Residual()
    model(np.zeros((1, 4), "float32"))
    return shaken(model)


def data(model: Any, count: int = 5) -> Any:
    rng = np.random.default_rng(3)
    if isinstance(model, Residual):
        return rng.normal(size=(count, 4)).astype("float32")
    shape = (count, *model.inputs[0].shape[1:])
    whole = "int" in str(model.inputs[0].dtype)
    return rng.integers(0, 11, shape) if whole else rng.normal(size=shape).astype("float32")


def contents(model: Any) -> list[bytes]:
    return [np.asarray(weight.value).tobytes() for weight in model.weights]


# ---- by hand


def by_paths(model: Any, x: np.ndarray) -> dict[str, Any]:
    """All contributions of a ReLU network to its predicted logit, path by path: from each input and each bias through
    the active units to the predicted class."""
    (w1, b1, w2, b2, w3, b3) = (np.asarray(weight.value, np.float64) for weight in model.weights)
    inputs, hidden, deeper = np.zeros(4), np.zeros(6), np.zeros(5)
    biases, results = np.zeros(3), []
    for sample in x.astype(np.float64):
        z1 = sample @ w1 + b1
        z2 = np.maximum(z1, 0) @ w2 + b2
        logits = np.maximum(z2, 0) @ w3 + b3
        k, total = int(np.argmax(logits)), float(logits.max())
        results.append(total)
        for j in range(5):
            if z2[j] <= 0:
                continue
            biases[1] += b2[j] * w3[j, k] / total
            deeper[j] += b2[j] * w3[j, k] / total
            for i in range(6):
                if z1[i] <= 0:
                    continue
                rest = w2[i, j] * w3[j, k] / total
                for value, start in [(b1[i], None), *((sample[n] * w1[n, i], n) for n in range(4))]:
                    if start is None:
                        biases[0] += value * rest
                    else:
                        inputs[start] += value * rest
                    hidden[i] += value * rest
                    deeper[j] += value * rest
        biases[2] += b3[k] / total
    count = len(x)
    return {
        "inputs": inputs.sum() / count,
        "hidden": hidden / count,
        "deeper": deeper / count,
        "biases": biases / count,
        "result": np.mean(results),
    }


def test_contributions_are_sums_over_active_paths() -> None:
    model = mlp()
    x = data(model, 9)
    expected, report = by_paths(model, x), relevance(model, x, batch_size=4)
    assert report.inputs == pytest.approx(expected["inputs"], rel=1e-10)
    assert [row.bias for row in report.layers] == pytest.approx(expected["biases"], rel=1e-10)
    assert [row.share for row in report.layers] == pytest.approx(
        [expected["hidden"].sum(), expected["deeper"].sum(), 1.0], rel=1e-10
    )
    assert [edge.share for edge in report.edges] == pytest.approx(
        [expected["inputs"], expected["hidden"].sum(), expected["deeper"].sum()], rel=1e-10
    )
    for units, shares in zip(report.units, (expected["hidden"], expected["deeper"]), strict=False):
        sizes = np.abs(shares) / np.abs(shares).sum()
        assert units.share == pytest.approx(shares.sum(), rel=1e-10)
        assert dict(units.top) == pytest.approx({i: size for i, size in enumerate(sizes) if size}, rel=1e-10)
    assert report.result_mean == pytest.approx(expected["result"], rel=1e-10)
    assert (report.samples, report.left_out, report.target) == (9, 0, "logit of the predicted class")


# ---- inputs and biases are the result


@pytest.mark.parametrize(
    "make",
    [
        small_convolutions,
        gated_convolutions,
        transformer,
        lambda: recurrent(L.LSTM(4)),
        lambda: recurrent(L.GRU(4)),
        lambda: mlp("sigmoid"),
        lambda: mlp("softplus"),
        subclassed,
    ],
    ids=["skip", "gated", "transformer", "lstm", "gru", "sigmoid", "softplus", "subclassed"],
)
def test_inputs_and_biases_are_the_result(make: Callable[[], Any]) -> None:
    model = make()
    before = contents(model)
    report = relevance(model, data(model))
    assert report.consistent, report.certificates
    assert report.unattributed == pytest.approx(0, abs=1e-6)
    assert report.biases != 0
    assert report.cancellation >= abs(report.inputs) + abs(report.biases) - 1e-9
    assert any(edge.partial for edge in report.edges) == isinstance(model, Residual)
    assert contents(model) == before


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_is_computed_as_float64(policy: str) -> None:
    plain, mixed = mlp("tanh"), mlp("tanh", dtype=policy)
    reports = [relevance(model, data(plain)) for model in (plain, mixed)]
    assert reports[0].inputs == pytest.approx(reports[1].inputs, rel=1e-12)
    assert {key: value.shape for key, value in weight_saliency(mixed, data(mixed), np.arange(5) % 3).items()} == {
        weight.path: tuple(weight.shape) for weight in mixed.weights
    }


def test_what_no_rule_attributes_is_said() -> None:
    class Difference(L.Layer):
        def call(self, x: Any) -> Any:
            return x + tf.nn.tanh(x)

    model = shaken(keras.Sequential([L.Input((4,)), Difference(name="raw"), L.Dense(3)]))
    report = relevance(model, data(model))
    assert not report.consistent
    assert abs(report.unattributed) > 1e-3
    assert {each.layer for each in report.certificates if not each.met} == {report.layers[0].path}


def test_what_python_does_between_layers_is_said() -> None:
    class Raw(Residual):
        def call(self, x: Any) -> Any:
            return tf.nn.softmax(self.last(self.inner(self.first(x))))

    model = Raw()
    model(np.zeros((1, 4), "float32"))
    report = relevance(shaken(model), data(model))
    assert {each.name: each.layer for each in report.certificates if not each.met} == {"euler": BETWEEN}


# ---- what must not change it


def shares(report: RelevanceReport) -> np.ndarray:
    return np.array(
        [
            report.inputs,
            report.biases,
            report.cancellation,
            *(value for row in report.layers for value in (row.share, row.magnitude, row.bias)),
            *(edge.share for edge in report.edges),
            *(value for units in report.units for value in (units.share, units.effective)),
        ]
    )


def test_scaling_a_unit_changes_no_share() -> None:
    x = keras.Input((4,))
    h = L.ReLU()(L.BatchNormalization()(L.Dense(6)(L.Dense(5, "relu")(x))))
    model = shaken(keras.Model(x, L.Dense(3)(h)))
    before = shares(relevance(model, data(model)))
    kernel, bias, following, _, gamma, beta, *_ = (np.asarray(weight.value) for weight in model.weights)
    last = np.asarray(model.weights[-2].value)
    kernel[:, 2] *= 4
    bias[2] *= 4
    following[2] /= 4
    gamma[3] *= 4
    beta[3] *= 4
    last[3] /= 4
    for number, value in ((0, kernel), (1, bias), (2, following), (4, gamma), (5, beta), (-2, last)):
        model.weights[number].assign(value)
    np.testing.assert_allclose(shares(relevance(model, data(model))), before, rtol=1e-10, atol=1e-10)


def test_neither_does_the_batch_size() -> None:
    model = mlp("sigmoid")
    several = [shares(relevance(model, data(model, 9), batch_size=size)) for size in (2, 9)]
    np.testing.assert_allclose(several[0], several[1], rtol=1e-12)


# ---- targets, samples, errors


def test_targets() -> None:
    model, x = mlp(), data(mlp())
    margin = relevance(model, x, target="margin")
    first = relevance(model, x, target=0)
    model.weights[-1].assign(model.weights[-1].value + 3.0)  # all logits alike
    shifted = relevance(model, x, target="margin")
    assert (shifted.inputs, shifted.biases) == pytest.approx((margin.inputs, margin.biases), rel=1e-5)
    assert relevance(model, x, target=0).inputs != pytest.approx(first.inputs, rel=1e-2)
    assert first.target == "logit of class 0"


def test_several_outputs_and_positions() -> None:
    x = keras.Input((5, 4))
    model = shaken(keras.Model(x, [L.Dense(3, "softmax", name="words")(x), L.Dense(1, name="score")(L.Flatten()(x))]))
    first, second = relevance(model, data(model)), relevance(model, data(model), output="score")
    assert (first.output, second.output, second.target) == ("words", "score", "output")
    logits = np.asarray(data(model) @ model.weights[0].value + model.weights[1].value)
    assert first.result_mean == pytest.approx(logits.max(-1).mean(), rel=1e-5)
    assert relevance(model, data(model), output=1).inputs == second.inputs


def test_samples_without_a_result_are_left_out() -> None:
    model = keras.Sequential([L.Input((4,)), L.Dense(5, "relu"), L.Dense(1)])
    shaken(model)
    for number in (1, 3):
        model.weights[number].assign(np.zeros(model.weights[number].shape))
    x = np.array([[1, 2, 0, 1], [0, 0, 0, 0], [3e38, 3e38, -3e38, 1], [1, 0, 1, 3]], "float32")
    model.weights[2].assign(np.full((5, 1), 1e30))
    model.weights[0].assign(np.abs(model.weights[0].value))
    report = relevance(model, x, dtype="float32")
    assert (report.samples, report.left_out) == (2, 2)
    assert report.inputs == pytest.approx(1, abs=1e-5)
    model.weights[0].assign(np.full((4, 5), np.nan))
    with pytest.raises(RunFailed, match=r"zero or not finite.*dense"):
        relevance(model, x)


@pytest.mark.parametrize(
    ("change", "kind", "said"),
    [
        ({"x": np.zeros((0, 4))}, InputError, "no values"),
        ({"x": np.zeros((2, 3))}, InputError, r"\(4\), not \(3,\)"),
        ({"x": [np.zeros((2, 4))] * 2}, InputError, "1 input"),
        ({"x": np.full((2, 4), np.nan)}, InputError, "8 values that are NaN"),
        ({"target": 3}, UsageError, "no class 3"),
        ({"target": "best"}, UsageError, "unknown target"),
        ({"output": "other"}, UsageError, "no output 'other'"),
        ({"batch_size": 0}, UsageError, "holds nothing"),
        ({"dtype": "float16"}, UsageError, "float16"),
    ],
)
def test_what_cannot_be_done_is_said(change: dict[str, Any], kind: type[TfoptError], said: str) -> None:
    model = mlp()
    before = contents(model)
    with pytest.raises(kind, match=said) as raised:
        relevance(model, **{"x": np.ones((2, 4)), **change})
    assert raised.value.hint
    assert "\n" not in raised.value.message + raised.value.hint
    assert contents(model) == before


# ---- saliency


@pytest.mark.parametrize("per", ["sample", "batch"])
def test_saliency_is_the_mean_of_absolute_values(per: str) -> None:
    layers = [L.Dense(5, kernel_regularizer="l2"), L.BatchNormalization(), L.Dropout(0.5), L.Dense(3, "softmax")]
    model = shaken(keras.Sequential([L.Input((4,)), *layers]))
    model.compile("adam", "sparse_categorical_crossentropy")
    x, y = data(model, 7), np.arange(7) % 3
    before = contents(model)
    found = weight_saliency(model, x, y, per=per, batch_size=3)  # type: ignore[arg-type]
    assert contents(model) == before
    batches = np.split(np.arange(7), [3, 6] if per == "batch" else range(1, 7))
    expected = {weight.path: np.zeros(weight.shape) for weight in model.trainable_variables}
    for rows in batches:
        with tf.GradientTape() as tape:
            loss = model.compute_loss(x[rows], y[rows], model(x[rows], training=False))
        gradients = tape.gradient(loss, [weight.value for weight in model.trainable_variables])
        for weight, gradient in zip(model.trainable_variables, gradients, strict=True):
            expected[weight.path] += np.abs(np.asarray(weight.value) * np.asarray(gradient)) * len(rows) / 7
    for path, array in found.items():
        np.testing.assert_allclose(array, expected[path], rtol=2e-5, atol=1e-7, err_msg=path)


def test_saliency_of_several_losses_leaves_the_model_as_it_was() -> None:
    x = keras.Input((4,))
    h = L.Dense(4, activity_regularizer="l1")(x)
    model = shaken(keras.Model(x, {"a": L.Dense(2)(h), "b": L.Dense(1, "sigmoid")(h)}))
    y = {"a": np.ones((5, 2)), "b": np.ones((5, 1))}
    inferred = weight_saliency(model, data(model), y)
    model.compile("adam", {"a": "mse", "b": "binary_crossentropy"})
    assert set(inferred) == {weight.path for weight in model.trainable_variables}
    own = weight_saliency(model, data(model), y)
    assert not model._compile_loss.built
    assert not any(layer._losses for layer in model.layers)
    mean_only = weight_saliency(model, data(model), y, loss={"a": "mse", "b": None})
    assert np.all(mean_only[model.trainable_variables[-2].path] == 0)
    assert own[model.trainable_variables[-2].path].max() > 0
    with pytest.raises(InputError, match="differ"):
        weight_saliency(model, data(model), {"a": np.ones((4, 2)), "b": np.ones((5, 1))})
