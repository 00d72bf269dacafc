"""The strongest paths of real Keras models, held against all paths, which a search through the unit graph lists.

`path_twins` has the unit graph of each model.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers as L
from keras.src.applications.convnext import LayerScale
from keras.src.applications.inception_resnet_v2 import CustomScaleLayer

from tests.integration.path_twins import IN, TWINS, Step, Twin, all_paths, draw_weights, kernel_of, taps_of
from tfopt.errors import UsageError
from tfopt.pathways.top_paths import top_paths
from tfopt.pathways.top_paths.transfers.attention import PRIVATE
from tfopt.pathways.top_paths.unit import unit_paths
from tfopt.records.influence import StrongPaths

K = 50


@pytest.fixture(autouse=True)
def seed() -> None:
    keras.utils.set_random_seed(3)


def _as_listed(found: StrongPaths) -> list[tuple[float | None, tuple[tuple[Step, int | None], ...]]]:
    return [
        (
            path.log10_weight,
            tuple(((name, call), unit) for (name, unit), call in zip(path.steps, path.calls, strict=True)),
        )
        for path in found.paths
    ]


@pytest.mark.parametrize("build", TWINS)
def test_the_top_50_equal_brute_force(build: Callable[[], Twin]) -> None:
    model, links = build()
    before = [variable.numpy().tobytes() for variable in model.weights]
    found = unit_paths(model, K)
    assert found.unavailable == ""
    every = all_paths(links)
    expected = every[:K]
    assert len(expected) == K
    assert [value for value, _ in _as_listed(found)] == pytest.approx([value for value, _ in expected], abs=1e-6)
    by_steps = {steps: value for value, steps in every}
    listed = _as_listed(found)
    assert len({steps for _, steps in listed}) == K
    for value, steps in listed:
        assert by_steps[steps] == pytest.approx(value, abs=1e-6)
    assert [variable.numpy().tobytes() for variable in model.weights] == before
    assert found == unit_paths(model, K)


@keras.saving.register_keras_serializable("top_paths")
class Block(L.Layer):
    """A user's layer, made of Keras's."""

    def __init__(self, raw: bool = False) -> None:
        super().__init__(name="block")
        self.raw, self.inner, self.sum = raw, L.Dense(3, name="inner"), L.Add(name="sum")

    def build(self, shape: Any) -> None:
        self.inner.build(shape)

    def call(self, x: Any) -> Any:
        y = self.inner(x)
        return keras.ops.sin(y) + x if self.raw else self.sum([x, y])


class Subclassed(keras.Model):
    """Nothing but its `call` says how its layers are wired."""

    def __init__(self, raw: bool, between: bool = False) -> None:
        super().__init__(name="sub")
        self.between = between
        self.block, self.head = Block(raw), L.Dense(2, activation="softmax", name="head")

    def call(self, x: Any) -> Any:
        y = self.block(x)
        return self.head(y * 2.0 + x if self.between else y)


def _subclassed(raw: bool, between: bool = False) -> keras.Model:
    model = Subclassed(raw, between)
    model(np.zeros((1, 3), "float32"))
    return model


def test_layers_made_of_layers_are_looked_into() -> None:
    model = _subclassed(raw=False)
    inner, head = model.block.inner, model.head
    inside = ("sub/block/inner", 1), ("sub/block/sum", 1), ("sub/head", 1)
    links = [(IN, inside[0], kernel_of(inner)), (IN, inside[1], np.eye(3)), (inside[0], inside[1], np.eye(3))]
    expected = all_paths([*links, (inside[1], inside[2], kernel_of(head))])
    found = _as_listed(unit_paths(model, 100, ("3",)))
    assert [value for value, _ in found] == pytest.approx([value for value, _ in expected])
    assert {steps for _, steps in found} == {steps for _, steps in expected}


def _sequence(*layers: Any, shape: tuple[int, ...] = (4, 3)) -> keras.Model:
    return keras.Sequential([keras.Input(shape), *layers], name="net")


@pytest.mark.parametrize(
    ("build", "named"),
    [
        (
            lambda: _sequence(L.Dense(3), L.LSTM(2, name="memory"), L.Dense(2)),
            "net/memory (LSTM): a path may go around",
        ),
        (lambda: _sequence(L.Bidirectional(L.GRU(2), name="both")), "net/both (Bidirectional): a path may go around"),
        (lambda: _sequence(L.Lambda(lambda x: x, name="any")), "net/any (Lambda): "),
        (lambda: _subclassed(raw=True), "sub/block (Block): no rule is known"),
        (lambda: _subclassed(raw=False, between=True), "sub/head (Dense): it takes a tensor that was computed outside"),
        (lambda: _sequence(L.Dense(4, activation="glu", name="half")), "net/half (Dense): its activation"),
        (lambda: _sequence(L.Softmax(name="soft"), L.Dense(2)), "no path"),
    ],
)
def test_what_prevents_it_is_named(build: Callable[[], keras.Model], named: str) -> None:
    found = top_paths(build(), input_shape=("3",) if named.startswith("sub") else ())
    assert found.paths == ()
    assert found.unavailable.startswith(named)


def test_a_recurrent_gate_prevents_nothing() -> None:
    """Paths follow the value of a product; what makes its gate may be anything."""
    inputs = keras.Input((4, 3))
    gate = L.Dense(3, activation="sigmoid")(L.LSTM(2)(inputs))
    value = L.GlobalAveragePooling1D()(L.Dense(3)(inputs))
    assert top_paths(keras.Model(inputs, L.Multiply()([value, gate]))).unavailable == ""


def test_weights_that_are_zero_or_no_number() -> None:
    dense = L.Dense(2, name="dense")
    model = _sequence(dense, shape=(3,))
    dense.kernel.assign([[0.0, 0.0], [0.0, -10.0], [0.0, 0.0]])
    (path,) = top_paths(model).paths
    assert path.steps == (("(input)", 1), ("net/dense", 1))
    assert path.log10_weight == pytest.approx(1)
    dense.kernel.assign(np.zeros((3, 2)))
    assert top_paths(model).unavailable.startswith("no path")
    dense.kernel.assign(np.full((3, 2), np.nan))
    assert top_paths(model).unavailable == "net/dense (Dense): it has weights that are NaN or infinite"


@pytest.mark.parametrize(("k", "level"), [(0, "unit"), (21, "unit"), (21, "layer"), (1, "neuron")])
def test_wrong_usage(k: int, level: Any) -> None:
    with pytest.raises(UsageError):
        top_paths(_sequence(L.Dense(1)), k, level=level)


def test_half_precision_numbers_its_channels_exactly() -> None:
    """Flattened, there are more than float16 can count."""
    policy = "mixed_float16"
    model = _sequence(
        L.Flatten(dtype=policy), L.BatchNormalization(dtype=policy), L.Dense(2, dtype=policy), shape=(50, 60)
    )
    draw_weights(model)
    steps = {path.steps for path in top_paths(model, 20).paths}
    assert len(steps) == 20
    assert all(entry[1] == flat[1] == (norm[1] or 0) % 60 for entry, flat, norm, _ in steps)
    assert max(norm[1] or 0 for _, _, norm, _ in steps) > 2048


def test_channels_first() -> None:
    model = _sequence(
        L.Conv2D(5, 2, data_format="channels_first", name="conv"),
        L.Flatten(data_format="channels_first"),
        L.Dense(2, name="out"),
        shape=(3, 4, 4),
    )
    draw_weights(model)
    conv, _, out = model.layers
    expected = taps_of(conv)[:, :, None] * kernel_of(out).reshape(9, 5, 2).max(0)
    values = [path.log10_weight for path in top_paths(model, 20).paths]
    assert values == pytest.approx(np.log10(np.sort(expected.ravel())[::-1][:20]), abs=1e-6)


def test_private_names_exist() -> None:
    for layer in (L.MultiHeadAttention(2, 3), L.GroupQueryAttention(3, 4, 2)):
        x = np.zeros((1, 5, 6), "float32")
        layer(x, x)
        assert all(hasattr(getattr(layer, name), "kernel") for name in PRIVATE)


def test_layers_of_keras_applications() -> None:
    """ConvNeXt's x · γ; Inception-ResNet's x + scale · branch, whose parallel edges are the largest of the two."""
    inputs = keras.Input((3,))
    x = LayerScale(1.0, 3, name="gamma")(inputs)
    outputs = CustomScaleLayer(scale=0.5, name="scaled")([x, L.Dense(3, use_bias=False, name="branch")(x)])
    model = keras.Model(inputs, outputs, name="net")
    model.set_weights([np.array([1.0, 3.0, -9.0]), np.diag([1.0, 4.0, 1.0])])
    found = {tuple(path.steps): path.log10_weight for path in top_paths(model, 20).paths}
    assert len(found) == 6
    for unit, (gamma, edge) in enumerate(((1, 0.5), (3, 2.0), (9, 0.5))):
        entry, end = (("(input)", unit), ("net/gamma", unit)), ("net/scaled", unit)
        assert found[*entry, end] == pytest.approx(np.log10(gamma))
        assert found[*entry, ("net/branch", unit), end] == pytest.approx(np.log10(gamma * edge))
    assert np.asarray(model(np.ones((1, 3), "float32"))) == pytest.approx(
        np.array([[1 * 1.5, 3 * 3.0, -9 * 1.5]])
    )  # what the weights above are taken from


def _blocks(weights: Sequence[np.ndarray]) -> keras.Model:
    """Residual blocks of one matrix each."""
    size = len(weights[0])
    inputs = keras.Input((size,))
    x = inputs
    for number, weight in enumerate(weights):
        dense = L.Dense(size, use_bias=False, name=f"block_{number}")
        x = L.Add(name=f"add_{number}")([x, dense(x)])
        dense.kernel.assign(weight)
    return keras.Model(inputs, x, name="blocks")


def _estimated(weights: Sequence[np.ndarray]) -> dict[tuple[bool, ...], tuple[float, float]]:
    """By which blocks a path takes: the estimate of its share and the share."""
    found = top_paths(_blocks(weights), 20, level="layer")
    assert found.unavailable == ""
    shares = {}
    for taken in itertools.product((False, True), repeat=len(weights)):
        through = np.ones(len(weights[0]))
        for takes, weight in zip(taken, weights, strict=True):
            through = through @ np.abs(weight) if takes else through
        shares[taken] = float(through.sum())
    total = sum(shares.values())
    flows = {
        tuple(f"blocks/block_{number}" in dict(path.steps) for number in range(len(weights))): path.flow or 0.0
        for path in found.paths
    }
    return {taken: (flows.get(taken, 0.0), share / total) for taken, share in shares.items()}


def test_flows_estimate_shares_where_channels_are_alike() -> None:
    draw = np.random.default_rng(7)
    compared = _estimated([draw.normal(size=(32, 32)) * 0.1 for _ in range(4)])
    assert sum(estimate for estimate, _ in compared.values()) == pytest.approx(1)
    assert max(abs(estimate - share) for estimate, share in compared.values()) < 0.005


def test_flows_are_estimates() -> None:
    """The first block writes channel 0, the second reads channel 1: no path takes both. The estimate: one in four."""
    compared = _estimated([np.diag([100.0, 0.0]), np.diag([0.0, 100.0])])
    estimate, share = compared[True, True]
    assert share == 0
    assert estimate == pytest.approx((100 / 202) ** 2)


def test_layer_level_tells_what_prevents_it() -> None:
    found = top_paths(_subclassed(raw=False, between=True), level="layer", input_shape=("3",))
    assert found.paths == ()
    assert found.unavailable.startswith("sub/head: what it takes was computed outside of layers")
