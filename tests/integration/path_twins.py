"""Networks and their unit graphs, written down by hand as matrices between layers, with every path through them."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers as L

__all__ = ["IN", "TWINS", "Step", "Twin", "all_paths", "draw_weights", "kernel_of", "taps_of"]

Step = tuple[str, int]
Links = list[tuple[Step, Step, np.ndarray]]
Twin = tuple[keras.Model, Links]

IN: Step = ("(input)", 1)
NOWHERE: Step = ("(none)", 0)


def draw_weights(model: keras.Model) -> None:
    """Weights that are all different, so that ties are rare; variances that are positive."""
    draw = np.random.default_rng(5)
    for variable in model.weights:
        values = draw.normal(size=variable.shape)
        variable.assign(np.abs(values) + 0.1 if "variance" in variable.name else values)


def kernel_of(layer: Any, name: str = "kernel") -> np.ndarray:
    return np.abs(getattr(layer, name).numpy().astype("float64"))


def taps_of(layer: Any) -> np.ndarray:
    kernel = kernel_of(layer)
    return kernel.max(tuple(range(kernel.ndim - 2)))


def _bn(layer: Any) -> np.ndarray:
    return np.diag(kernel_of(layer, "gamma") / np.sqrt(layer.moving_variance.numpy().astype("float64") + layer.epsilon))


def _at(rows: int, columns: int, first: int) -> np.ndarray:
    """Units that become those from `first` on, of more."""
    return np.eye(rows, columns, first)


def _step(path: str | Step) -> Step:
    return (path, 1) if isinstance(path, str) else path


def _twin(model: keras.Model, links: Callable[[], list[tuple[str | Step, str | Step, np.ndarray]]]) -> Twin:
    draw_weights(model)

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
            (IN, "a", kernel_of(a)),
            ("a", "bn", _bn(bn)),
            ("bn", "b", kernel_of(b)),
            ("a", "add", e),
            ("b", "add", e),
            ("add", "relu", e),
            ("relu", "out", kernel_of(out)),
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
            (IN, "a", taps_of(a)),
            ("a", "bn", _bn(bn)),
            ("bn", "b", taps_of(b)),
            ("a", "add", e),
            ("b", "add", e),
            ("add", "pool", e),
            ("pool", "flat", e),
            ("flat", "out", kernel_of(out).reshape(9, 3, 4).max(0)),
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
        grouped[:2, :2], grouped[2:, 2:] = taps_of(group)[:, :2], taps_of(group)[:, 2:]
        spread = np.zeros((2, 4))
        taps = taps_of(depth)
        for channel, each in itertools.product(range(2), range(2)):
            spread[channel, 2 * channel + each] = taps[channel, each]
        each, onward = kernel_of(separable, "depthwise_kernel"), kernel_of(separable, "pointwise_kernel")
        within = each.max((0, 1))[:, :, None] * onward.reshape(8, 2, 3)
        return [
            (IN, "depth", spread),
            ("depth", "group", grouped),
            ("depth", "cat", _at(4, 8, 0)),
            ("group", "cat", _at(4, 8, 4)),
            ("cat", "up", np.eye(8)),
            ("up", "separable", within.max(1)),
            ("cat", "back", taps_of(back).T),
            ("separable", "add", np.eye(3)),
            ("back", "add", np.eye(3)),
            ("add", "pool", np.eye(3)),
            ("pool", "out", kernel_of(out)),
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
            (("(input one)", 1), "shared", kernel_of(shared)),
            ("shared", ("shared", 2), kernel_of(shared)),
            (("shared", 2), "sub", e),
            (("(input two)", 1), "sub", e),
            ("sub", "nested/inner", kernel_of(inner)),
            ("nested/inner", "head", kernel_of(head)),
            ("sub", "tail", kernel_of(tail)),
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
            ("scale", "a", taps_of(a)),
            ("a", "gate", e / 2),
            ("gate", "norm", np.diag(kernel_of(norm, "gamma"))),
            ("norm", times, e / 4),
            (times, "pool", e),
            ("pool", "out", kernel_of(out)),
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
        values, outputs = kernel_of(heads.value_dense), kernel_of(heads.output_dense)
        return [
            (NOWHERE, "table", np.diag(kernel_of(table, "embeddings").mean(0))),
            ("table", "heads/value", values.reshape(4, 4)),
            ("heads/value", "heads", outputs.reshape(4, 4)),
            ("table", "add", np.eye(4)),
            ("heads", "add", np.eye(4)),
            ("add", "mixer", kernel_of(mixer)),
            ("mixer", "each", kernel_of(wide)),
            ("each", item, np.eye(3)),
            (item, "out", kernel_of(out)),
        ]

    return _twin(model, links)


TWINS = [_residual, _convolutions, _concatenated, _shared, _gated, _attention]


def all_paths(links: Links) -> list[tuple[float, tuple[tuple[Step, int], ...]]]:
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
