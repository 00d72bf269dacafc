"""The strongest paths of real Keras models, held against all paths, which a search through the unit graph lists.

The unit graph of each model is written down here by hand, as matrices between layers.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers as L
from keras.src.applications.convnext import LayerScale
from keras.src.applications.inception_resnet_v2 import CustomScaleLayer

from tfopt.errors import UsageError
from tfopt.pathways.top_paths import top_paths
from tfopt.pathways.top_paths.transfers.attention import PRIVATE
from tfopt.pathways.top_paths.unit import unit_paths
from tfopt.records.influence import StrongPaths

K = 50
Step = tuple[str, int]
Links = list[tuple[Step, Step, np.ndarray]]
Twin = tuple[keras.Model, Links]

IN: Step = ("(input)", 1)
NOWHERE: Step = ("(none)", 0)


@pytest.fixture(autouse=True)
def seed() -> None:
    keras.utils.set_random_seed(3)


def _weights(model: keras.Model) -> None:
    """Weights that are all different, so that ties are rare; variances that are positive."""
    draw = np.random.default_rng(5)
    for variable in model.weights:
        values = draw.normal(size=variable.shape)
        variable.assign(np.abs(values) + 0.1 if "variance" in variable.name else values)


def _kernel(layer: Any, name: str = "kernel") -> np.ndarray:
    return np.abs(getattr(layer, name).numpy().astype("float64"))


def _taps(layer: Any) -> np.ndarray:
    kernel = _kernel(layer)
    return kernel.max(tuple(range(kernel.ndim - 2)))


def _bn(layer: Any) -> np.ndarray:
    return np.diag(_kernel(layer, "gamma") / np.sqrt(layer.moving_variance.numpy().astype("float64") + layer.epsilon))


def _at(rows: int, columns: int, first: int) -> np.ndarray:
    """Units that become those from `first` on, of more."""
    return np.eye(rows, columns, first)


def _step(path: str | Step) -> Step:
    return (path, 1) if isinstance(path, str) else path


def _twin(model: keras.Model, links: Callable[[], list[tuple[str | Step, str | Step, np.ndarray]]]) -> Twin:
    _weights(model)

    def full(path: str | Step) -> Step:
        name, call = _step(path)
        return (name if name.startswith("(") else f"{model.name}/{name}", call)

    return model, [(full(source), full(target), matrix) for source, target, matrix in links()]


def _residual() -> Twin:
    inputs = keras.Input((3,))
    a, bn, b, out = L.Dense(4, name="a"), L.BatchNormalization(name="bn"), L.Dense(4, name="b"), L.Dense(2, name="out")
    x = a(inputs)
    y = L.Add(name="add")([x, b(bn(x))])
    model = keras.Model(inputs, out(L.ReLU(name="relu")(y)), name="residual")
    e = np.eye(4)
    return _twin(
        model,
        lambda: [
            (IN, "a", _kernel(a)),
            ("a", "bn", _bn(bn)),
            ("bn", "b", _kernel(b)),
            ("a", "add", e),
            ("b", "add", e),
            ("add", "relu", e),
            ("relu", "out", _kernel(out)),
        ],
    )


def _convolutions() -> Twin:
    inputs = keras.Input((6, 6, 2))
    a = L.Conv2D(3, 3, padding="same", activation="relu", name="a")
    bn = L.BatchNormalization(name="bn")
    b = L.Conv2D(3, 3, padding="same", use_bias=False, name="b")
    out = L.Dense(4, activation="softmax", name="out")
    x = a(inputs)
    y = L.Add(name="add")([b(bn(x)), x])
    x = L.Flatten(name="flat")(L.MaxPooling2D(name="pool")(y))
    model = keras.Model(inputs, out(x), name="convolutions")
    e = np.eye(3)
    return _twin(
        model,
        lambda: [
            (IN, "a", _taps(a)),
            ("a", "bn", _bn(bn)),
            ("bn", "b", _taps(b)),
            ("a", "add", e),
            ("b", "add", e),
            ("add", "pool", e),
            ("pool", "flat", e),
            ("flat", "out", _kernel(out).reshape(9, 3, 4).max(0)),
        ],
    )


def _concatenated() -> Twin:
    """Depthwise with a multiplier, grouped, transposed and separable convolutions, side by side."""
    inputs = keras.Input((4, 4, 2))
    depth = L.DepthwiseConv2D(3, depth_multiplier=2, padding="same", name="depth")
    group = L.Conv2D(4, 3, groups=2, padding="same", name="group")
    back = L.Conv2DTranspose(3, 2, strides=2, name="back")
    separable = L.SeparableConv2D(3, 3, depth_multiplier=2, padding="same", name="separable")
    out = L.Dense(2, name="out")
    x = depth(inputs)
    joined = L.Concatenate(name="cat")([x, group(x)])
    y = separable(L.UpSampling2D(name="up")(joined))
    y = L.Add(name="add")([back(joined), y])
    model = keras.Model(inputs, out(L.GlobalAveragePooling2D(name="pool")(y)), name="concatenated")

    def links() -> Any:
        grouped = np.zeros((4, 4))
        grouped[:2, :2], grouped[2:, 2:] = _taps(group)[:, :2], _taps(group)[:, 2:]
        spread = np.zeros((2, 4))
        taps = _taps(depth)
        for channel, each in itertools.product(range(2), range(2)):
            spread[channel, 2 * channel + each] = taps[channel, each]
        each, onward = _kernel(separable, "depthwise_kernel"), _kernel(separable, "pointwise_kernel")
        within = each.max((0, 1))[:, :, None] * onward.reshape(8, 2, 3)
        return [
            (IN, "depth", spread),
            ("depth", "group", grouped),
            ("depth", "cat", _at(4, 8, 0)),
            ("group", "cat", _at(4, 8, 4)),
            ("cat", "up", np.eye(8)),
            ("up", "separable", within.max(1)),
            ("cat", "back", _taps(back).T),
            ("separable", "add", np.eye(3)),
            ("back", "add", np.eye(3)),
            ("add", "pool", np.eye(3)),
            ("pool", "out", _kernel(out)),
        ]

    return _twin(model, links)


def _shared() -> Twin:
    """Two inputs, two outputs, a layer that is called twice and a nested model."""
    one, two = keras.Input((3,), name="one"), keras.Input((3,), name="two")
    shared = L.Dense(3, activation="tanh", name="shared")
    inner = L.Dense(4, name="inner")
    nested = keras.Sequential([keras.Input((3,)), inner], name="nested")
    head, tail = L.Dense(2, name="head"), L.Dense(2, name="tail")
    x = shared(one)
    y = L.Subtract(name="sub")([shared(x), two])
    model = keras.Model([one, two], [head(nested(y)), tail(y)], name="shared_twice")
    e = np.eye(3)
    return _twin(
        model,
        lambda: [
            (("(input one)", 1), "shared", _kernel(shared)),
            ("shared", ("shared", 2), _kernel(shared)),
            (("shared", 2), "sub", e),
            (("(input two)", 1), "sub", e),
            ("sub", "nested/inner", _kernel(inner)),
            ("nested/inner", "head", _kernel(head)),
            ("sub", "tail", _kernel(tail)),
        ],
    )


def _gated() -> Twin:
    """Squeeze and excitation: the gate is worth ½; what a Rescaling and Normalization multiply with."""
    inputs = keras.Input((4, 4, 3))
    scale = L.Rescaling([0.5, -2.0, 3.0], name="scale")
    a, b = L.Conv2D(3, 3, name="a"), L.Conv2D(3, 1, activation="sigmoid", name="b")
    norm, out = L.LayerNormalization(name="norm"), L.Dense(6, name="out")
    x = a(scale(inputs))
    squeezed = L.Reshape((1, 1, 3), name="shape")(L.GlobalAveragePooling2D(name="squeeze")(x))
    y = L.Multiply(name="gate")([x, b(squeezed)])
    y = norm(y) * 0.25
    model = keras.Model(inputs, out(L.GlobalMaxPooling2D(name="pool")(y)), name="gated")
    times = next(each.name for each in model.operations if type(each).__name__ == "Multiply" and each.name != "gate")
    e = np.eye(3)
    return _twin(
        model,
        lambda: [
            (IN, "scale", np.diag([0.5, 2.0, 3.0])),
            ("scale", "a", _taps(a)),
            ("a", "gate", e / 2),
            ("gate", "norm", np.diag(_kernel(norm, "gamma"))),
            ("norm", times, e / 4),
            (times, "pool", e),
            ("pool", "out", _kernel(out)),
        ],
    )


def _attention() -> Twin:
    tokens = keras.Input((5,), dtype="int32")
    table, heads = L.Embedding(7, 4, name="table"), L.MultiHeadAttention(2, 3, value_dim=2, name="heads")
    mixer = L.EinsumDense("abc,cd->abd", (None, 4), name="mixer")
    wide, out = L.Dense(3, name="wide"), L.Dense(2, name="out")
    x = table(tokens)
    y = L.Add(name="add")([x, heads(x, x)])
    model = keras.Model(tokens, out(L.TimeDistributed(wide, name="each")(mixer(y))[:, -1]), name="attention")
    item = next(each.name for each in model.operations if type(each).__name__ == "GetItem")

    def links() -> Any:
        values, outputs = _kernel(heads.value_dense), _kernel(heads.output_dense)
        return [
            (NOWHERE, "table", np.diag(_kernel(table, "embeddings").mean(0))),
            ("table", "heads/value", values.reshape(4, 4)),
            ("heads/value", "heads", outputs.reshape(4, 4)),
            ("table", "add", np.eye(4)),
            ("heads", "add", np.eye(4)),
            ("add", "mixer", _kernel(mixer)),
            ("mixer", "each", _kernel(wide)),
            ("each", item, np.eye(3)),
            (item, "out", _kernel(out)),
        ]

    return _twin(model, links)


TWINS = [_residual, _convolutions, _concatenated, _shared, _gated, _attention]


def _all_paths(links: Links) -> list[tuple[float, tuple[tuple[Step, int], ...]]]:
    """Every path from a unit that nothing leads to, to one that leads nowhere, the strongest first."""
    onward: dict[tuple[Step, int], list[tuple[tuple[Step, int], float]]] = defaultdict(list)
    for source, target, matrix in links:
        for a, b in zip(*np.nonzero(matrix), strict=True):
            onward[source, int(a)].append(((target, int(b)), float(matrix[a, b])))
    inside = {target for _, target, _ in links}
    found = []
    pending = [(1.0, (node,)) for node in onward if node[0] not in inside]
    while pending:
        weight, path = pending.pop()
        if path[-1] not in onward:
            found.append((math.log10(weight), tuple(each for each in path if each[0] != NOWHERE)))
        pending += [(weight * edge, (*path, node)) for node, edge in onward[path[-1]]] if path[-1] in onward else []
    return sorted(found, key=lambda each: -each[0])


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
    every = _all_paths(links)
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
    links = [(IN, inside[0], _kernel(inner)), (IN, inside[1], np.eye(3)), (inside[0], inside[1], np.eye(3))]
    expected = _all_paths([*links, (inside[1], inside[2], _kernel(head))])
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
    _weights(model)
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
    _weights(model)
    conv, _, out = model.layers
    expected = _taps(conv)[:, :, None] * _kernel(out).reshape(9, 5, 2).max(0)
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
