"""The layer tree."""

from __future__ import annotations

from typing import Any

import keras

from tfopt.model.layers import LayerNode, layer_tree


def paths(nodes: tuple[LayerNode, ...]) -> list[str]:
    return [node.path for node in nodes]


class Block(keras.layers.Layer):  # type: ignore[misc]
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.first = keras.layers.Dense(2, name="same")
        self.more = [keras.layers.Dense(2, name="same"), {"deep": keras.layers.ReLU(name="act")}]
        self.never_called = keras.layers.Dense(9, name="unused")

    def build(self, input_shape: Any) -> None:
        for layer in (self.first, self.more[0]):
            layer.build(input_shape)

    def call(self, inputs: Any) -> Any:
        return self.more[1]["deep"](self.more[0](self.first(inputs)))


def test_wrappers_cells_and_nested_models() -> None:
    inputs = keras.Input((5, 4), name="in")
    x = keras.layers.Bidirectional(keras.layers.LSTM(3, name="lstm", return_sequences=True), name="both")(inputs)
    x = keras.layers.TimeDistributed(keras.layers.Dense(4, name="dense"), name="each")(x)
    inner = keras.Sequential([keras.Input((5, 4)), keras.layers.Flatten(name="flat")], name="inner")
    model = keras.Model(inputs, inner(x), name="outer")
    assert paths(layer_tree(model)) == [
        "outer",
        "outer/both",
        "outer/both/forward_lstm",
        "outer/both/forward_lstm/lstm_cell",
        "outer/both/backward_lstm",
        "outer/both/backward_lstm/lstm_cell",
        "outer/each",
        "outer/each/dense",
        "outer/inner",
        "outer/inner/flat",
    ]
    depths = {node.path: node.depth for node in layer_tree(model)}
    assert all(depth == path.count("/") for path, depth in depths.items())


def test_attributes_lists_and_uncalled_layers_of_a_subclass() -> None:
    model = keras.Sequential([keras.Input((2,)), Block(name="block")], name="m")
    assert paths(layer_tree(model)) == [
        "m",
        "m/block",
        "m/block/same",
        "m/block/same#2",
        "m/block/act",
        "m/block/unused",
    ]


def test_attention_shows_its_dense_layers() -> None:
    inputs = keras.Input((5, 4))
    attention = keras.layers.MultiHeadAttention(2, 3, name="attention")
    model = keras.Model(inputs, attention(inputs, inputs), name="m")
    assert {"m/attention/query", "m/attention/key", "m/attention/value"} <= set(paths(layer_tree(model)))


def test_a_shared_layer_is_listed_once() -> None:
    shared = keras.layers.Dense(4, name="shared")
    left = keras.Sequential([keras.Input((4,)), shared], name="left")
    right = keras.Sequential([keras.Input((4,)), shared], name="right")
    inputs = keras.Input((4,))
    model = keras.Model(inputs, right(left(inputs)), name="m")
    nodes = {node.path: node for node in layer_tree(model)}
    assert set(nodes) == {"m", "m/left", "m/left/shared", "m/right"}


def test_metrics_and_losses_are_not_layers() -> None:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, name="d")], name="m")
    model.compile("adam", "mse", metrics=["mae"])
    model.train_on_batch(keras.ops.ones((2, 4)), keras.ops.ones((2, 1)))
    assert paths(layer_tree(model)) == ["m", "m/d"]


def test_names_stay_as_they_are() -> None:
    names = ["has space", "größe", "模型", "[bold]x[/bold]".replace("/", "_"), "<b>", "a,b;c"]
    layers = [keras.layers.ReLU(name=name) for name in names]
    model = keras.Sequential([keras.Input((4,)), *layers], name="my model")
    assert paths(layer_tree(model)) == ["my model", *(f"my model/{name}" for name in names)]


def test_deep_nesting() -> None:
    inner: Any = keras.layers.ReLU(name="leaf")
    for depth in range(20):
        inner = keras.Sequential([keras.Input((4,)), inner], name=f"level_{depth}")
    deepest = layer_tree(inner)[-1]
    assert deepest.depth == 20
    assert deepest.path.endswith("level_1/level_0/leaf")


def test_no_layer_has_the_path_of_a_row_that_is_none() -> None:
    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.Dense(2, name="(loss)")(inputs), name="(idle)")
    assert paths(layer_tree(model)) == ["(idle)#2", "(idle)#2/(loss)"]


def test_a_name_that_looks_like_a_numbered_one_is_told_apart() -> None:
    parts = [keras.Sequential([keras.layers.ReLU(name="x")], name=name) for name in ("a", "a#2")]
    wrapped = keras.Sequential([keras.layers.ReLU(name="x")], name="a")
    for part in (*parts, wrapped):
        part.build((None, 4))

    class Holder(keras.layers.Layer):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(name="m")
            self.held = [parts[0], wrapped, parts[1]]

    found = paths(layer_tree(Holder()))
    assert found == ["m", "m/a", "m/a/x", "m/a#2", "m/a#2/x", "m/a#2#2", "m/a#2#2/x"]
