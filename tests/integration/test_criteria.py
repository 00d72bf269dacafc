"""Criteria against their definitions, worked out one sample, one weight or one path at a time in plain TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfopt.errors import InputError, RunFailed
from tfopt.pruning.allocation.scopes import allocate
from tfopt.pruning.criteria import CRITERIA, Scoring, scored
from tfopt.pruning.features import input_squares
from tfopt.pruning.prunable import Masks, Prunable, Scores
from tfopt.pruning.selection import select

L = keras.layers
pytestmark = pytest.mark.usefixtures("unoptimized")


def prunables(model: Any) -> tuple[Prunable, ...]:
    return select(model)[0]


def network(dtype: str = "float64") -> Any:
    """A convolution, norms and two dense layers: 24 + 48 + 32 weights."""
    keras.utils.set_random_seed(4)
    layers = [
        L.Conv2D(3, 2, activation="tanh", dtype=dtype),
        L.BatchNormalization(dtype=dtype),
        L.AveragePooling2D((3, 1), dtype=dtype),
        L.Flatten(dtype=dtype),
        L.LayerNormalization(dtype=dtype),
        L.Dense(8, "tanh", dtype=dtype),
        L.Dense(4, "softmax", dtype="float32" if dtype.startswith("mixed") else dtype),
    ]
    model = keras.Sequential([L.Input((4, 3, 2), dtype="float64" if dtype == "float64" else "float32"), *layers])
    draw = np.random.default_rng(0)
    model.set_weights([np.abs(draw.normal(size=array.shape)) + 0.1 for array in model.get_weights()])
    for weight in prunables(model):
        weight.variable.assign(draw.normal(size=weight.shape))
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


X, Y = np.random.default_rng(1).normal(size=(7, 4, 3, 2)), np.arange(7) % 4


def scoring(model: Any, **options: Any) -> Scoring:
    weights = prunables(model)

    def at_most(scores: Scores, sparsity: float) -> Masks:
        return allocate(scores, sparsity, "global", weights)

    return Scoring(model, weights, at_most, **{"sparsity": 0.7, "x": X, "y": Y, "batch_size": 3, **options})


def state_of(model: Any) -> list[bytes]:
    slots = model.optimizer.variables if model.compiled else ()
    return [variable.numpy().tobytes() for variable in (*model.variables, *slots)]


def loss_of(model: Any, rows: Any) -> Any:
    """Cross-entropy, without Keras."""
    return -tf.reduce_mean(tf.math.log(tf.gather(model(X[rows], training=False), Y[rows], axis=1, batch_dims=1)))


def gradients_of(model: Any, weights: Sequence[Prunable], rows: Any) -> list[Any]:
    values = [weight.variable.value for weight in weights]
    with tf.GradientTape() as tape:
        loss = loss_of(model, rows)
    return [tf.convert_to_tensor(gradient) for gradient in tape.gradient(loss, values)]


def close(found: Scores, expected: Sequence[np.ndarray], rtol: float = 1e-9) -> None:
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == np.float64
        np.testing.assert_allclose(one, other, rtol=rtol, atol=1e-12 * np.abs(other).max())


def test_taylor_and_fisher_are_means_over_single_samples() -> None:
    model = network()
    single = [gradients_of(model, prunables(model), [row]) for row in range(len(X))]
    weights = [weight.variable.numpy() for weight in prunables(model)]
    of: Callable[[Any], Any]
    for name, of in (("taylor", np.abs), ("fisher", np.square)):
        expected = [
            np.mean([of(weight * gradients[number]) for gradients in single], axis=0)
            for number, weight in enumerate(weights)
        ]
        close(scored(name, scoring(model)), expected)


def test_weights_of_samples_are_those_of_their_losses() -> None:
    """A sample that counts nothing might as well not be there; of numbers that only say how many there are, none is."""
    model, sample_weight = network(), np.array([1.0, 0, 2, 1, 0, 1, 1], "float32")
    single = [gradients_of(model, prunables(model), [row]) for row in range(len(X))]
    weights = [weight.variable.numpy() for weight in prunables(model)]
    weighted = [
        [share * weight * gradients[number] for share, gradients in zip(sample_weight, single, strict=True)]
        for number, weight in enumerate(weights)
    ]
    asked = scoring(model, sample_weight=sample_weight)
    close(scored("fisher", asked), [np.mean(np.square(each), axis=0) for each in weighted])
    close(scored("snip", asked), [np.abs(np.mean(each, axis=0)) for each in weighted])


def test_snip_is_of_the_mean_loss_whatever_the_batches_are() -> None:
    model = network()
    weights = prunables(model)
    expected = [
        np.abs(weight.variable.numpy() * gradient)
        for weight, gradient in zip(weights, gradients_of(model, weights, np.arange(7)), strict=True)
    ]
    close(scored("snip", scoring(model)), expected)  # of 3, 3 and 1


def test_grasp_keeps_those_whose_removal_would_lower_the_norm_of_the_gradient_most() -> None:
    model = network()
    found = scored("grasp", scoring(model))
    weights, rows, step = prunables(model), np.arange(7), 1e-4
    norm = tf.function(lambda: tf.add_n([tf.reduce_sum(each**2) for each in gradients_of(model, weights, rows)]))
    for weight, scores in zip(weights, found, strict=True):
        before = weight.variable.numpy()
        for place in np.ndindex(*weight.shape):
            norms = []
            for factor in (1 - step, 1 + step):
                moved = before.copy()
                moved[place] *= factor
                weight.variable.assign(moved)
                norms.append(float(norm()))
            weight.variable.assign(before)
            falls = (norms[1] - norms[0]) / (4 * step)  # by so much, halved, per part of the weight that is removed
            assert scores[place] == pytest.approx(falls, rel=1e-5, abs=1e-6 * np.abs(scores).max())


def test_synflow_is_a_hundred_rounds_of_path_weights() -> None:
    keras.utils.set_random_seed(0)
    model = keras.Sequential([L.Input((5,)), *(L.Dense(size, "relu") for size in (6, 4)), L.Dense(3, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")
    weights = [np.abs(weight.variable.numpy().astype("float64")) for weight in prunables(model)]
    assert len(weights) == 3

    def products(kept: Masks) -> Scores:
        first, second, third = (weight * mask for weight, mask in zip(weights, kept, strict=True))
        into, out = np.ones(5), np.ones(3)
        return [
            first * np.outer(into, second @ third @ out),
            second * np.outer(into @ first, third @ out),
            third * np.outer(into @ first @ second, out),
        ]

    kept = [np.ones(weight.shape, bool) for weight in weights]
    total = products(kept)[0].sum()
    close(scored("path", scoring(model)), [product / total for product in products(kept)], 1e-6)
    for number in range(1, 101):
        scores = [np.where(mask, score, -1) for mask, score in zip(kept, products(kept), strict=True)]
        kept = allocate(scores, 1 - 0.3 ** (number / 100), "global", prunables(model))
    before = state_of(model)
    found = allocate(scored("synflow", scoring(model)), 0.7, "global", prunables(model))
    assert state_of(model) == before
    for mask, expected in zip(found, kept, strict=True):
        np.testing.assert_array_equal(mask, expected)
    assert products(found)[0].sum() > 0
    one_shot = allocate(scored("path", scoring(model)), 0.7, "global", prunables(model))
    assert any(np.any(one != other) for one, other in zip(found, one_shot, strict=True))


@pytest.mark.parametrize("name", [name for name in CRITERIA if name != "synflow"])  # path, again and again
def test_half_precision_scores_like_single_and_nothing_is_written(name: str) -> None:
    single, half = network("float32"), network("mixed_float16")
    half.set_weights(single.get_weights())
    before = state_of(half)
    found, expected = (scored(name, scoring(model, seed=1)) for model in (half, single))
    assert state_of(half) == before
    close(found, expected, 1e-5)


# ---- what wanda looks at


def by_last(x: Any) -> np.ndarray:
    x = np.asarray(x, "float64")
    return np.sum(x**2, axis=tuple(range(x.ndim - 1)))


def before_each_step(states: Any) -> np.ndarray:
    states = np.asarray(states)
    return np.concatenate([np.zeros_like(states[:, :1]), states[:, :-1]], axis=1)


def depthwise_of(layer: Any, x: np.ndarray) -> Any:
    return tf.nn.depthwise_conv2d(x, layer.depthwise_kernel.value, [1, 1, 1, 1], "SAME")


def heads_of(layer: Any, x: np.ndarray) -> np.ndarray:
    """What the output's kernel, which is square, was multiplied with."""
    kernel = layer._output_dense.kernel.numpy().reshape(6, 6)
    return (layer(x, x).numpy() - layer._output_dense.bias.numpy()) @ np.linalg.inv(kernel)


LAYERS: dict[str, tuple[Callable[[], Any], tuple[int, ...], Callable[[Any, Any], list[np.ndarray]]]] = {
    "dense": (lambda: L.Dense(3), (5, 4), lambda layer, x: [by_last(x)[:, None]]),
    "time distributed": (lambda: L.TimeDistributed(L.Dense(3)), (5, 4), lambda layer, x: [by_last(x)[:, None]]),
    "grouped convolution": (
        lambda: L.Conv2D(6, 2, groups=2),
        (5, 5, 4),
        lambda layer, x: [np.repeat(by_last(x).reshape(2, 2).T, 3, axis=1)],
    ),
    "transposed convolution": (lambda: L.Conv1DTranspose(3, 2), (5, 4), lambda layer, x: [by_last(x)]),
    "separable convolution": (
        lambda: L.SeparableConv2D(3, 2, depth_multiplier=2, padding="same"),
        (5, 5, 4),
        lambda layer, x: [by_last(x)[:, None], by_last(depthwise_of(layer, x))[:, None]],
    ),
    "einsum": (
        lambda: L.EinsumDense("abc,bdc->adb", (3, 5)),
        (5, 4),
        lambda layer, x: [np.sum(x.astype("float64") ** 2, 0)[:, None, :]],
    ),
    "einsum of any rank": (
        lambda: L.EinsumDense("...c,cd->...d", (5, 3)),
        (5, 4),
        lambda layer, x: [by_last(x)[:, None]],
    ),
    "lstm": (
        lambda: L.LSTM(3, return_sequences=True, recurrent_dropout=0.5),
        (5, 4),
        lambda layer, x: [by_last(x)[:, None], by_last(before_each_step(layer(x)))[:, None]],
    ),
    "bidirectional": (
        lambda: L.Bidirectional(L.GRU(3, return_sequences=True)),
        (5, 4),
        lambda layer, x: [
            by_last(x)[:, None],
            by_last(before_each_step(layer(x)[..., :3]))[:, None],
            by_last(x)[:, None],
            by_last(before_each_step(layer(x)[:, ::-1, 3:]))[:, None],
        ],
    ),
    "convolutional lstm": (
        lambda: L.ConvLSTM1D(3, 2, padding="same", return_sequences=True),
        (3, 5, 4),
        lambda layer, x: [by_last(x)[:, None], by_last(before_each_step(layer(x)))[:, None]],
    ),
}


@pytest.mark.parametrize("name", LAYERS)
def test_squares_are_of_what_a_weight_is_multiplied_with(name: str) -> None:
    build, shape, expected = LAYERS[name]
    keras.utils.set_random_seed(0)
    layer = build()
    model = keras.Sequential([L.Input(shape), layer])
    x = np.random.default_rng(0).normal(size=(7, *shape)).astype("float32")
    weights, _ = select(model, ["*kernel"])
    before = state_of(model)
    found = input_squares(model, weights, x, batch_size=3)
    assert state_of(model) == before
    for weight, one, other in zip(weights, found, expected(layer, x), strict=True):
        assert one is not None
        np.testing.assert_allclose(
            np.broadcast_to(one, weight.shape), np.broadcast_to(other, weight.shape), rtol=1e-5, err_msg=weight.path
        )


def test_attention_is_seen_projection_by_projection() -> None:
    x = keras.Input((5, 6))
    layer = L.MultiHeadAttention(2, 3)
    model = keras.Model(x, layer(x, x))
    samples = np.random.default_rng(0).normal(size=(4, 5, 6)).astype("float32")
    query, key, value, out = input_squares(model, prunables(model), samples)
    for each in (query, key, value):
        np.testing.assert_allclose(np.ravel(each), by_last(samples), rtol=1e-5)
    np.testing.assert_allclose(np.ravel(out), by_last(heads_of(layer, samples)), rtol=1e-3)


def test_wanda_adds_up_calls_and_says_what_it_cannot_see() -> None:
    class Own(L.Layer):
        def build(self, shape: Any) -> None:
            self.own = self.add_weight(shape=(shape[-1], 2), name="kernel")

        def call(self, x: Any) -> Any:
            return tf.matmul(x, self.own)

    x = keras.Input((3,))
    shared = L.Dense(3, use_bias=False)
    model = keras.Model(x, Own()(shared(shared(x))))
    samples = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
    notes: list[str] = []
    first, second = scored("wanda", scoring(model, x=samples, y=None, note=notes.append))
    kernel, own = (weight.variable.numpy() for weight in prunables(model))
    squares = by_last(samples) + by_last(samples @ kernel)
    np.testing.assert_allclose(first, np.abs(kernel) * np.sqrt(squares)[:, None], rtol=1e-5)
    np.testing.assert_allclose(second, np.abs(own), rtol=1e-6)
    assert notes == [
        f"what {prunables(model)[1].path} is multiplied with cannot be observed: it is ranked by magnitude"
    ]


# ---- what cannot be scored


def test_gradients_that_are_not_finite_are_refused_by_name() -> None:
    model = network()
    model.layers[-2].kernel.assign(np.full((6, 8), 1e200))
    with pytest.raises(RunFailed, match=r"dense.*not finite"):
        scored("fisher", scoring(model, loss=lambda y, p: tf.reduce_sum(p, -1) * 1e308 * 10))
    with pytest.raises(InputError, match="samples of the shape"):
        scored("fisher", scoring(model, x=X[:, :2]))


def test_fixed_batches_are_said() -> None:
    model = keras.Sequential([L.Input(batch_shape=(2, 3)), L.Dense(2)])
    model.compile("sgd", "mse")
    notes: list[str] = []
    x, y = np.ones((4, 3), "float32"), np.eye(2)[[0, 1, 0, 1]]
    scored("taylor", scoring(model, x=x, y=y, note=notes.append))
    assert notes == ["the model takes 2 samples at once: gradients are of such batches, not of single samples"]
    with pytest.raises(InputError, match="batches of 2 samples"):
        scored("taylor", scoring(model, x=x[:3], y=y[:3]))


def test_weights_without_a_path_are_said() -> None:
    x = keras.Input((3,))
    model = keras.Model(x, L.Dense(2, name="used")(x))
    model.aside = L.Dense(2, name="aside")
    model.aside.build((None, 3))
    notes: list[str] = []
    _, aside = scored("path", scoring(model, x=None, y=None, note=notes.append))
    assert not aside.any()
    assert "aside/kernel" in notes[0]
