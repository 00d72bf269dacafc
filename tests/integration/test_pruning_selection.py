"""Which weights of real layers are pruned, along which axes; what is refused; what has collapsed."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from tfopt.errors import InputError, UsageError
from tfopt.model.load import load
from tfopt.pruning.collapse import collapse
from tfopt.pruning.prunable import Masks, Prunable
from tfopt.pruning.selection import select
from tfopt.pruning.sensitivity import sensitivity

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras, while quantizing


class Mixing(layers.Layer):  # type: ignore[misc]
    """A custom layer whose weights have names that say nothing, and one that does."""

    def build(self, shape: Any) -> None:
        self.mix = self.add_weight(shape=(shape[-1], 3), name="mix")
        self.kernel = self.add_weight(shape=(3, 2), name="kernel")
        self.seen = self.add_weight(shape=(2, 2), name="kernel", trainable=False)

    def call(self, x: Any) -> Any:
        return x @ self.mix @ self.kernel @ self.seen


def _model(*stack: Any, shape: tuple[int | None, ...] = (4,)) -> Any:
    x = inputs = keras.Input(shape)
    for layer in stack:
        x = layer(x)
    return keras.Model(inputs, x, name="m")


def _all_kinds() -> Any:
    image = keras.Input((8, 8, 3))
    x = layers.Conv2D(6, 3, padding="same", name="conv")(image)
    x = layers.SeparableConv2D(4, 3, padding="same", name="separable")(x)
    x = layers.Conv2DTranspose(6, 1, name="transposed")(x)
    x = layers.DepthwiseConv2D(3, name="depthwise")(x)
    x = layers.Conv2D(6, 1, groups=6, name="by_channel")(x)
    x = layers.Conv2D(4, 1, groups=2, name="grouped")(x)
    x = layers.BatchNormalization(name="batch_normalization")(layers.PReLU()(x))
    x = layers.Reshape((36, 4))(x)
    x = layers.MultiHeadAttention(2, 3, name="mha")(x, x)
    x = layers.GroupQueryAttention(3, 4, 2, name="gqa")(x, x)
    x = layers.LayerNormalization(axis=[1, 2])(x)
    x = layers.EinsumDense("abc,bcd->abd", (36, 5), name="by_place")(x)
    x = layers.Bidirectional(layers.LSTM(3, return_sequences=True, name="lstm"), name="both")(x)
    x = layers.SpectralNormalization(layers.Dense(5, name="dense"), name="spectral")(x)
    tokens = keras.Input((5,), dtype="int32")
    y = layers.Embedding(7, 5, name="embedding")(tokens)
    shared = layers.Dense(2, name="shared")
    x = layers.Concatenate(axis=1)([shared(x), shared(layers.Dropout(0.5)(y))])
    return keras.Model([image, tokens], Mixing(name="mixing")(x), name="m")


@pytest.fixture(scope="module")
def kinds() -> Any:
    return _all_kinds()


def test_kernels_are_chosen_with_the_axes_that_their_layers_sum_over(kinds: Any) -> None:
    chosen, left_alone = select(kinds)
    found = {weight.path: (weight.layer_path, weight.input_axes, weight.output_axes) for weight in chosen}
    lstm = {
        f"both/{way}_lstm/lstm_cell/{name}": (f"m/both/{way}_lstm/lstm_cell", (0,), (1,))
        for way in ("forward", "backward")
        for name in ("kernel", "recurrent_kernel")
    }
    heads: dict[str, Any] = {
        f"{name}/{part}/kernel": (f"m/{name}/{part}", (0,), (1, 2))
        for name in ("mha", "gqa")
        for part in ("query", "key", "value")
    } | {f"{name}/attention_output/kernel": (f"m/{name}/attention_output", (0, 1), (2,)) for name in ("mha", "gqa")}
    assert found == {
        "conv/kernel": ("m/conv", (2,), (3,)),
        "separable/pointwise_kernel": ("m/separable", (2,), (3,)),
        "transposed/kernel": ("m/transposed", (3,), (2,)),
        "grouped/kernel": ("m/grouped", (2,), (3,)),
        "by_place/kernel": ("m/by_place", (1,), (2,)),
        "shared/kernel": ("m/shared", (0,), (1,)),
        "mixing/kernel": ("m/mixing", (0,), (1,)),
        **lstm,
        **heads,
    }
    assert {each.reason: each.variables for each in left_alone} == {
        "biases": 20,
        "normalization and scales": 2,
        "embeddings": 1,
        "slopes of activations": 1,
        "custom weights that no rule describes": 1,
        "depthwise kernels": 3,
        "normalized anew in every training step": 1,
        "states: statistics, counters, seeds": 4,
    }
    assert sum(each.size for each in (*chosen, *left_alone)) == kinds.count_params()


@pytest.mark.parametrize(
    ("path", "inputs"),
    [
        ("conv", (1, 4, 4, 3)),
        ("transposed", (1, 4, 4, 4)),
        ("by_place", (1, 36, 4)),
        ("shared", (1, 2, 5)),
        ("mha/query", (1, 2, 4)),
        ("mha/attention_output", (1, 2, 2, 3)),
        ("gqa/value", (1, 2, 4)),
        ("gqa/attention_output", (1, 2, 4, 3)),
    ],
)
def test_the_axes_are_those_that_are_summed_over(kinds: Any, path: str, inputs: tuple[int, ...]) -> None:
    """A gradient tells: of one input channel alone (the last axes of x), every weight of that channel matters and no
    other; one output (the last axes of y) is made by its own weights and no others."""
    weight = next(each for each in select(kinds)[0] if each.path == f"{path}/kernel")

    def reached(x: Any, of: Any) -> np.ndarray:
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(of(weight.layer(x)))
        return np.asarray(tape.gradient(total, weight.variable.value)) != 0

    def alone(shape: Any, axes: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        """The second index along these axes of the kernel; in a tensor of this shape, along its last axes."""
        in_kernel, in_tensor = np.zeros(weight.shape, bool), np.zeros(shape, "float32")
        in_tensor[(..., *[1] * len(axes))] = 1
        in_kernel[tuple(1 if axis in axes else slice(None) for axis in range(len(weight.shape)))] = True
        return in_kernel, in_tensor

    expected, x = alone(inputs, weight.input_axes)
    np.testing.assert_array_equal(reached(x, lambda y: y), expected)
    everything = tf.ones(inputs)
    expected, chosen = alone(weight.layer(everything).shape, weight.output_axes)
    np.testing.assert_array_equal(reached(everything, lambda y: y * chosen), expected)


def test_patterns_replace_the_choice_and_take_away(kinds: Any) -> None:
    def paths(*patterns: list[str]) -> list[str]:
        return [weight.path for weight in select(kinds, *patterns)[0]]

    assert paths(["embedding*/embeddings", "mixing/mix"]) == ["embedding/embeddings", "mixing/mix"]
    assert paths(["conv/*"]) == ["conv/kernel", "conv/bias"]
    assert len(paths([], ["mha/*"])) == len(paths()) - 4
    left = {each.reason: each.variables for each in select(kinds, ["*/kernel"], ["mha/*"])[1]}
    assert left["excluded"] == 8
    assert left["not included"] > 0
    assert left["states: statistics, counters, seeds"] == 1


def test_what_the_default_leaves_alone_may_be_named(kinds: Any) -> None:
    """But no statistic: a variance of zero is no pruned weight."""
    named = ["depthwise/kernel", "spectral/dense/kernel", "batch_normalization/*"]
    assert [weight.path for weight in select(kinds, named)[0]] == [
        "depthwise/kernel",
        "batch_normalization/gamma",
        "batch_normalization/beta",
        "spectral/dense/kernel",
    ]


@pytest.mark.parametrize("patterns", [(["conv/kernle"], []), ([], ["nothing*"]), (["conv/*"], ["conv/*", "none"])])
def test_a_pattern_that_is_like_nothing_is_refused(kinds: Any, patterns: tuple[list[str], list[str]]) -> None:
    with pytest.raises(UsageError, match="no weight of m is like"):
        select(kinds, *patterns)


def test_nothing_to_prune_is_said(kinds: Any) -> None:
    with pytest.raises(InputError, match="m has nothing to prune: embeddings"):
        select(_model(layers.Embedding(4, 3), shape=(2,)))
    with pytest.raises(InputError, match="m has nothing to prune: it has no weights"):
        select(_model(layers.ReLU()))
    with pytest.raises(UsageError, match="nothing of m is left to prune"):
        select(kinds, [], ["*"])


def test_frozen_kernels_are_pruned_and_may_have_been_frozen_before_they_were_built() -> None:
    late = _model(layers.Dense(3), layers.Dense(2, trainable=False))
    late.layers[1].trainable = False
    assert [weight.shape for weight in select(late)[0]] == [(4, 3), (3, 2)]


def test_weights_of_one_path_stay_apart() -> None:
    inner_input = keras.Input((3,))
    inner = keras.Model(inner_input, layers.Dense(2, name="same")(inner_input), name="inner")
    found = [
        (each.path, each.layer_path, each.shape) for each in select(_model(layers.Dense(3, name="same"), inner))[0]
    ]
    assert found == [("same/kernel", "m/same", (4, 3)), ("same/kernel", "m/inner/same", (3, 2))]


def test_weights_that_are_nan_or_infinite_are_refused() -> None:
    model = _model(layers.Dense(3, name="first"), layers.Dense(2, name="last"))
    for layer, value in (("first", np.nan), ("last", np.inf)):
        before = model.get_weights()
        kernel = model.get_layer(layer).kernel
        kernel.assign(np.where(np.eye(*kernel.shape), value, 1.0))
        with pytest.raises(InputError, match=rf"values of {layer}/kernel are NaN or infinite"):
            select(model)
        model.set_weights(before)
    model.layers[1].bias.assign([0, np.inf, 0])
    assert len(select(model)[0]) == 2
    model.layers[1].bias.assign([0, np.nan, 0])
    with pytest.raises(InputError, match=r"1 value of first/bias is NaN"):
        select(model)


@pytest.mark.parametrize("mode", ["int8", "int4", "float8"])
def test_quantized_kernels_are_refused_and_may_be_left_alone(mode: str) -> None:
    model = _model(layers.Dense(16, name="first"), layers.Dense(16, name="last"), shape=(16,))
    model.get_layer("last").quantize(mode)
    with pytest.raises(InputError, match=rf"last/kernel is quantized \({mode}\)"):
        select(model)
    assert [weight.path for weight in select(model, [], ["last/*"])[0]] == ["first/kernel"]
    assert [weight.path for weight in select(model, ["first/*"])[0]] == ["first/kernel", "first/bias"]


def test_adapters_are_refused_though_a_file_has_them_merged(tmp_path: Any) -> None:
    """Loaded again they start anew from zero, and would be trained in place of the kernel."""
    model = _model(layers.Dense(3, name="first"))
    model.get_layer("first").enable_lora(2)
    model.save(tmp_path / "merged.keras")
    for each in (model, load(tmp_path / "merged.keras").model):
        with pytest.raises(InputError, match="first/kernel has low-rank adapters"):
            select(each)


def _masked(model: Any, keep: Any) -> tuple[tuple[Prunable, ...], Masks]:
    """Masks by the path of each weight, applied."""
    weights = select(model)[0]
    masks = [np.broadcast_to(keep(weight), weight.shape) for weight in weights]
    for weight, mask in zip(weights, masks, strict=True):
        weight.variable.assign(weight.values * mask)
    return weights, masks


def test_a_sound_model_has_not_collapsed_and_its_paths_add_up() -> None:
    model = _model(layers.Dense(3, use_bias=False), layers.ReLU(), layers.Dense(2))
    found = collapse(model, *_masked(model, lambda weight: np.arange(weight.size).reshape(weight.shape) % 2 == 0))
    first, last = (np.abs(weight.values.astype("float64")) for weight in select(model)[0])
    assert found.path_total == pytest.approx(np.log10((first @ last).sum()), abs=1e-12)
    assert not found.collapsed
    assert (found.empty, found.thin, found.notes) == ((), (), ())


def test_an_empty_layer_beside_a_shortcut_is_a_collapse_with_paths_left() -> None:
    x = inputs = keras.Input((4,))
    x = layers.Add()([x, layers.Dense(4, name="beside")(x)])
    model = keras.Model(inputs, layers.Dense(2, name="head")(x), name="m")
    found = collapse(model, *_masked(model, lambda weight: weight.path != "beside/kernel"))
    assert found.collapsed
    assert (found.empty, found.no_path) == (("m/beside",), False)
    assert found.path_total is not None


def test_biases_make_no_layer_empty_and_none_full() -> None:
    model = _model(layers.Dense(3, name="first"), layers.Dense(2, name="last"))
    both = select(model, include=["*"])[0]
    biases = [each for each in both if each.path.endswith("bias")]
    assert collapse(model, biases, [np.zeros(each.shape, bool) for each in biases]).empty == ()
    kept = [np.full(each.shape, each in biases) for each in both]
    for weight, mask in zip(both, kept, strict=True):
        weight.variable.assign(mask.astype("float32"))
    assert collapse(model, both, kept).empty == ("m/first", "m/last")


def test_layers_that_all_keep_weights_may_leave_no_path() -> None:
    """The first keeps what leads to unit 0, the second what comes from unit 1."""
    model = _model(layers.Dense(2, name="first"), layers.Dense(3, name="last"))
    units = np.array([True, False])
    found = collapse(model, *_masked(model, lambda each: units if each.path == "first/kernel" else ~units[:, None]))
    assert found.collapsed
    assert (found.empty, found.no_path, found.path_total) == ((), True, None)


def test_a_recurrent_layer_without_its_input_kernel_has_no_path() -> None:
    model = _model(layers.GRU(3, name="gru"), layers.Dense(2), shape=(5, 2))
    found = collapse(
        model, *_masked(model, lambda weight: not weight.path.endswith("/kernel") or "gru" not in weight.path)
    )
    assert (found.empty, found.no_path) == ((), True)


def test_under_a_hundredth_is_thin() -> None:
    model = _model(layers.Dense(50, name="thin"), layers.Dense(25, name="enough"), shape=(30,))
    some = {"thin/kernel": 14, "enough/kernel": 13}

    def keep(weight: Prunable) -> np.ndarray:
        """The first weights of unit 0, so that paths are left."""
        return some[weight.path] > np.arange(weight.size).reshape(weight.shape[::-1]).T

    found = collapse(model, *_masked(model, keep))
    assert (found.empty, found.thin, found.collapsed) == ((), ("m/thin",), False)


def test_paths_that_cannot_be_summed_are_noted_and_no_collapse() -> None:
    class Eager(keras.Model):  # type: ignore[misc]
        def build(self, shape: Any) -> None:
            self.dense = layers.Dense(2)
            self.dense.build(shape)

        def call(self, x: Any) -> Any:
            return self.dense(x * x.numpy().max())

    model = Eager(name="eager")
    model(tf.ones((1, 3)))
    found = collapse(model, *_masked(model, lambda weight: True))
    assert (found.collapsed, found.path_total) == (False, None)
    assert "whether a path is left is not known" in found.notes[0].message


def test_a_weight_of_half_precision_comes_back_bit_for_bit() -> None:
    model = _model(layers.Dense(3, dtype="bfloat16"), layers.Dense(2, dtype="mixed_float16"))
    weights, _ = select(model)
    before = [weight.values.tobytes() for weight in weights]
    sums: list[float] = []

    def metric() -> float:
        sums.append(sum(float(np.abs(weight.values.astype("float64")).sum()) for weight in weights))
        return sums[-1]

    sensitivity(weights, [np.abs(weight.values.astype("float64")) for weight in weights], metric)
    assert [weight.values.tobytes() for weight in weights] == before
    assert len(set(sums)) > 4
