"""Models and requests that path weights and contributions were once wrong about, or did not answer in two lines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfopt.errors import TfoptError
from tfopt.pathways.certificates import BETWEEN
from tfopt.pathways.path_weights import path_scores, path_weights
from tfopt.pathways.relevance import relevance
from tfopt.pathways.saliency import weight_saliency
from tfopt.records.influence import PathReport

L, ops = keras.layers, keras.ops


class Written(keras.Model):
    """Layers, and Python around them."""

    def __init__(self, function: Callable[[Any, Any], Any]) -> None:
        super().__init__(name="written")
        self.first, self.joined = L.Dense(4, "relu"), L.Add()
        self.last, self.squashed = L.Dense(3), L.Dense(3, "softmax")
        self.function = function

    def build(self, shape: Any) -> None:
        self.first.build(shape)
        for layer in (self.last, self.squashed):
            layer.build((None, 4))

    def call(self, x: Any) -> Any:
        return self.function(self, self.first(x))


def written(function: Callable[[Any, Any], Any]) -> keras.Model:
    model = Written(function)
    model(np.ones((1, 5), "float32"))
    return model


def chain(*layers: Any) -> keras.Model:
    return keras.Sequential([L.Input((4,)), *layers, L.Dense(2)], name="chain")


def at_fault(report: PathReport) -> set[str | None]:
    assert report.consistent == all(each.met for each in report.certificates)
    return {each.layer for each in report.certificates if not each.met}


def kernels(model: keras.Model) -> list[np.ndarray]:
    return [np.abs(np.asarray(each.value, np.float64)) for each in model.weights if len(each.shape) == 2]


def numbered() -> keras.Model:
    """What chooses rows and categories are floating-point numbers, which flow into another layer as well."""
    x = keras.Input((1,))
    parts = [L.Flatten()(L.Embedding(7, 4)(x)), L.CategoryEncoding(7, "one_hot")(x), L.Dense(3)(x)]
    return keras.Model(x, L.Dense(1, bias_initializer="ones")(L.Concatenate()(parts)))


def test_numbers_of_rows_may_be_floating_point() -> None:
    model = numbered()
    table, encoder, last = kernels(model)
    assert path_weights(model).log10_total == pytest.approx(
        np.log10((np.concatenate([table.mean(0), np.ones(7), encoder.sum(0)]) @ last).item()), abs=1e-12
    )
    x = np.arange(1, 5, dtype="float32")[:, None]
    report = relevance(model, x)
    assert report.consistent
    results = np.asarray(model(x), np.float64)[:, 0]
    assert report.biases == pytest.approx((1 / results).mean(), rel=1e-4)


@pytest.mark.parametrize(
    ("function", "last"),
    [
        (lambda model, h: ops.softmax(model.last(h)), ["last"]),
        (lambda model, h: ops.reshape(model.squashed(h), (-1, 3, 1)), ["squashed"]),
        (lambda model, h: {"a": model.squashed(h), "b": model.last(h)}, ["squashed", "last"]),
    ],
    ids=["ops", "reshaped", "two outputs"],
)
def test_the_last_softmax_of_a_subclassed_model_is_left_out(function: Any, last: list[str]) -> None:
    model = written(function)
    report = path_weights(model)
    first, *others = (np.abs(np.asarray(getattr(model, name).kernel.value, float)) for name in ("first", *last))
    assert report.consistent
    assert report.log10_total == pytest.approx(np.log10(sum((first.sum(0) @ each).sum() for each in others)), abs=1e-10)


@pytest.mark.parametrize(
    "function",
    [
        lambda model, h: model.last(h - 0.1 * tf.roll(h, 1, axis=1)),
        lambda model, h: model.last(h) @ tf.constant([[1.0, 2.0], [1.0, -0.5], [1.0, 0.0]], h.dtype),
        lambda model, h: model.last(model.joined([h, tf.ones_like(h)])),
    ],
    ids=["subtracts", "negative constant", "adds a constant"],
)
def test_python_between_layers_is_tried(function: Any) -> None:
    """Its sums alone show nothing: they stay positive."""
    assert at_fault(path_weights(written(function))) == {BETWEEN}


class Centred(L.Dense):
    """Its `call` is that of Dense."""

    @property
    def kernel(self) -> Any:
        kernel = super().kernel
        return kernel - 0.5 * ops.mean(kernel)


class Renamed(L.Dense):
    def get_config(self) -> dict[str, Any]:
        return {**super().get_config()}


def test_a_derived_layer_is_tried_if_it_changes_what_it_computes() -> None:
    centred, renamed = (path_weights(chain(kind(4))) for kind in (Centred, Renamed))
    assert (centred.layers[0].status, renamed.layers[0].status) == ("as is", "exact")
    assert at_fault(centred) == {centred.layers[0].path}
    assert renamed.consistent


@pytest.mark.parametrize("function", [ops.median, lambda x, **_: ops.clip(x, -2, 2)])
def test_what_sorts_or_clips_does_not_hide_behind_equal_inputs(function: Any) -> None:
    x = keras.Input((4,))
    assert not path_weights(keras.Model(x, L.Dense(2)(function(x, axis=1, keepdims=True)))).consistent


def test_the_strongest_weights_are_of_kernels() -> None:
    report = path_weights(chain(L.BatchNormalization()), top=100)
    assert {len(each.index) for each in report.strongest} == {2}


def test_the_peak_of_a_pass_is_counted() -> None:
    model = keras.Sequential([L.Input((64, 64, 8)), L.Conv2D(8, 3), L.GlobalAveragePooling2D()])
    x = np.ones((4, 64, 64, 8), "float32")
    free, data = path_weights(model).peak_bytes, relevance(model, x).peak_bytes
    counted = tf.config.experimental.get_memory_info("CPU:0")["peak"] > 0
    assert (free is None) == (data is None) == (not counted)
    if counted:
        assert min(free, data / 4) > 62 * 62 * 8 * 8  # type: ignore[type-var, operator]


class Lowering(L.Layer):
    def call(self, x: Any) -> Any:
        return tf.cast(x, "float32") * 2.0


def test_contributions_are_in_float32_where_a_layer_knows_nothing_else() -> None:
    report = relevance(chain(Lowering(name="lowering")), np.ones((2, 4)))
    assert (report.dtype, report.dtype_reason) == ("float32", "chain/lowering computes in float32")
    assert report.consistent


X, Y = np.ones((2, 4), "float32"), np.zeros(2)


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda model: path_weights(model, dtype="float16"), "dtype cannot be 'float16'"),
        (lambda model: path_weights(model, maxpool="mean"), "maxpool cannot be 'mean'"),  # type: ignore[arg-type]
        (lambda model: path_weights(model, biases=True), "biases cannot be True"),  # type: ignore[arg-type]
        (lambda model: path_weights(model, top=-1), "-1 strongest"),
        (lambda model: path_weights(model, groups=["dense"]), "groups have names"),  # type: ignore[arg-type]
        (lambda model: path_weights(model, groups={"a": []}), r"the group a is \[\]"),
        (lambda model: path_weights(model, groups={"a": 5}), "the group a is 5"),  # type: ignore[dict-item]
        (lambda model: path_weights(model, groups={"a": {}}), "no member"),
        (lambda model: path_weights(model, groups={"a": "other"}), "no member"),
        (lambda model: path_weights(model, groups={"a": {model.weights[3].path: 1}}), "which is no weight"),
        (lambda model: path_weights(keras.Sequential([L.Dense(3)])), "no weights yet"),
        (lambda model: relevance(keras.Sequential([L.Dense(3)]), X), "no weights yet"),
        (lambda model: path_weights(tf.Module()), "this is no Keras model but Module"),
        (lambda model: relevance(L.Dense(3), X), "this is no Keras model but Dense"),
        (lambda model: relevance(model, None), "no samples"),
        (lambda model: relevance(model, [[1, 2], [3]]), "make no array"),
        (lambda model: relevance(model, np.array([["a"] * 4])), "takes float32, not <U1"),
        (lambda model: relevance(model, X * (1 + 1j)), "takes float32, not complex64"),
        (lambda model: relevance(model, np.full((2, 4), 1e300)), "8 values that are NaN or infinite"),
        (lambda model: relevance(model, X, target=1.5), "unknown target 1.5"),  # type: ignore[arg-type]
        (lambda model: weight_saliency(model, X, None), "needs targets"),
    ],
)
def test_what_cannot_be_answered_is_said_in_two_lines(ask: Callable[[Any], Any], said: str) -> None:
    with pytest.raises(TfoptError, match=said) as raised:
        ask(chain(L.BatchNormalization()))
    assert raised.value.hint
    assert "\n" not in raised.value.message + raised.value.hint


def test_without_paths_there_are_no_shares() -> None:
    model = chain()
    model.weights[0].assign(np.zeros((4, 2)))
    report = path_weights(model, groups={"all": "*"})
    assert [each.name for each in report.certificates if not each.met] == ["finite"]
    assert report.groups[0].share == 0
    with pytest.raises(TfoptError, match="total of all paths is 0"):
        path_scores(model)
