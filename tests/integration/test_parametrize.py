"""Transforms between a model and its weights: what they compute, that their factors are learned, and what folds."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from bench.small_models import SMALL, batch, cnn, mlp, subclassed, transformer
from tfopt.errors import InputError, RunFailed, UsageError
from tfopt.modified.parametrization import parametrize
from tfopt.modified.transforms import FUNCTIONS, TRANSFORMS, transform

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras, while saving

WEIGHT = np.array([[-1.0, -0.1, 0.0], [0.05, 0.1, 0.6]], "float32")
# What each word makes of it, computed by hand.
MADE = {
    "scale=0.5": WEIGHT / 2,
    "threshold=0.1": [[-1, 0, 0], [0, 0, 0.6]],
    "ste-threshold=0.1": [[-1, 0, 0], [0, 0, 0.6]],
    "fake-quant=2": [[-1, 0, 0], [0, 0, 1]],
    "fake-quant=3": [[-1, 0, 0], [0, 0, 2 / 3]],
    "low-rank=2": WEIGHT,
    "relu": np.maximum(WEIGHT, 0),
    "abs": abs(WEIGHT),
    "square": WEIGHT**2,
    "tanh": np.tanh(WEIGHT),
    "sigmoid": 1 / (1 + np.exp(-WEIGHT)),
    "softplus": np.log1p(np.exp(WEIGHT)),
}


@pytest.fixture(autouse=True)
def seeded() -> None:
    keras.utils.set_random_seed(0)


def _of(word: str, dtype: str) -> tuple[Any, Any]:
    """W′ and its gradient with respect to W, summed."""
    made = transform(word)
    factors = [tf.constant(each, dtype) for each in made.start(WEIGHT.shape, np.random.default_rng(0))]
    weight = tf.constant(WEIGHT, dtype)
    with tf.GradientTape() as tape:
        tape.watch(weight)
        result = made.apply(weight, *factors)
    return result, tape.gradient(result, weight)


def test_every_transform_is_tried() -> None:
    assert {word.partition("=")[0] for word in MADE} == {*TRANSFORMS, *FUNCTIONS}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("word", MADE)
def test_what_a_transform_makes(word: str, dtype: str) -> None:
    result, gradient = _of(word, dtype)
    assert result.dtype.name == gradient.dtype.name == dtype
    np.testing.assert_allclose(result, MADE[word], rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_quantization_of_narrow_weights_is_as_fine_as_asked(dtype: str) -> None:
    """2^23 steps do not fit into float16, nor does what is between two of them."""
    weight = tf.cast([0.05, -0.03, 1e-3], dtype)
    np.testing.assert_array_equal(transform("fake-quant=24").apply(weight), weight)


def test_what_gradients_pass() -> None:
    np.testing.assert_array_equal(_of("threshold=0.1", "float32")[1], np.array(MADE["threshold=0.1"]) != 0)
    for word in ("ste-threshold=0.1", "fake-quant=3", "low-rank=2"):
        np.testing.assert_array_equal(_of(word, "float32")[1], np.ones_like(WEIGHT))
    np.testing.assert_array_equal(_of("scale=0.5", "float32")[1], np.full_like(WEIGHT, 0.5))


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("scal=1", "unknown modification"),
        ("scale", "has no number"),
        ("scale=nan", "has no number"),
        ("threshold=-1", "negative"),
        ("fake-quant=2.5", "whole number of bits"),
        ("low-rank=0", "whole number above 0"),
        ("no_such:function", "cannot find no_such:function: no_such failed: ModuleNotFoundError"),
        ("math:no_such", "math has no function 'no_such'"),
        ("relu=3", "unknown modification"),
    ],
)
def test_words_that_say_nothing_are_refused(word: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        transform(word)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_a_threshold_is_tf_where_whatever_the_weight(dtype: str) -> None:
    weight = tf.cast([np.inf, -np.inf, np.nan, 0.05, -0.05, 0.5, -0.5, -0.0], dtype)
    expected = tf.where(tf.abs(weight) > tf.cast(0.1, dtype), weight, tf.zeros_like(weight))
    for word in ("threshold=0.1", "ste-threshold=0.1"):
        np.testing.assert_array_equal(transform(word).apply(weight), expected)
    strange = tf.constant([np.nan, 1.0], dtype)
    assert transform("threshold=0.1").apply(strange)[0] == 0


def test_the_loss_is_scaled_where_the_model_s_is() -> None:
    """Gradients that float16 could not hold arrive all the same."""
    keras.config.set_dtype_policy("mixed_float16")
    try:
        inputs = keras.Input((4,))
        model = keras.Model(inputs, layers.Dense(1, name="only")(inputs))
    finally:
        keras.config.set_dtype_policy("float32")
    model.compile("sgd", "mse", loss_weights=[1e-8])
    made = parametrize(model, "scale=1")
    (factor,) = made.factors
    made.training_step(keras.optimizers.SGD(1e7))(tf.ones((2, 4)), tf.zeros((2, 1)))
    assert float(factor) != 1


def test_transforms_apply_in_order_and_take_functions() -> None:
    model = mlp()
    made = parametrize(model, ["scale=2", lambda weight: weight + 1], include=["first/kernel"])
    ((variable, value),) = made.weights()
    np.testing.assert_allclose(value, 2 * variable.numpy() + 1, rtol=1e-6)
    assert parametrize(model, "numpy:abs", include=["first/kernel"]).weights()[0][1].shape == variable.shape


def test_embeddings_and_biases_are_left_alone_and_that_is_said() -> None:
    model = transformer()
    made = parametrize(model, "relu")
    assert made.left_out == ("embedding/embeddings",)
    assert not any("bias" in each.variable.path or "embedding" in each.variable.path for each in made.modified)
    named = parametrize(model, "relu", include=["embedding/*"])
    assert [each.variable.path for each in named.modified] == ["embedding/embeddings"]
    with pytest.raises(UsageError, match=r"no weight of .* is like nothing"):
        parametrize(model, "relu", include=["nothing"])


def test_one_trace_for_any_factor() -> None:
    """And the loss at each is that of a model with these weights."""
    model = mlp()
    x, y = batch(model)
    made = parametrize(model, "scale=1", include=["*/kernel"])
    step = made.training_step(keras.optimizers.SGD(0.0))
    kernels = [each.variable for each in made.modified]
    before = [kernel.numpy() for kernel in kernels]
    for value in (1.0, 0.5, -2.0):
        for factor in made.factors:
            factor.assign(value)
        loss = float(step(x, y))
        for kernel, own in zip(kernels, before, strict=True):
            kernel.assign(own * value)
        assert loss == pytest.approx(float(model.compute_loss(x, y, model(x, training=True))), rel=1e-6)
        for kernel, own in zip(kernels, before, strict=True):
            kernel.assign(own)
    assert step.experimental_get_tracing_count() == 1


@pytest.mark.parametrize("word", ["scale=0.5", "low-rank=2"])
def test_factors_are_learned_and_nothing_else(word: str) -> None:
    model = mlp()
    x, y = batch(model, 16)
    made = parametrize(model, word)
    weights = model.get_weights()
    step = made.training_step(keras.optimizers.Adam(0.05))
    losses = [float(step(x, y)) for _ in range(40)]
    assert losses[-1] < losses[0] - 0.02
    for before, after in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


def test_weights_are_learned_through_a_threshold() -> None:
    """Straight-through, those that are cut move as well; with the threshold's own gradient they stay."""
    for word, moves in (("ste-threshold=0.3", True), ("threshold=0.3", False)):
        model = mlp()
        x, y = batch(model)
        made = parametrize(model, word, include=["second/kernel"])
        kernel = model.get_layer("second").kernel
        before = kernel.numpy()
        made.training_step("sgd", learn="all")(x, y)
        cut = abs(before) <= 0.3
        assert cut.any()
        assert bool((kernel.numpy()[cut] != before[cut]).any()) == moves


@pytest.mark.parametrize("name", ["cnn", "nested", "subclassed"])
def test_folding_gives_a_model_that_computes_the_same(name: str) -> None:
    model = SMALL[name]()
    x, _ = batch(model)
    made = parametrize(model, ["scale=0.5", "tanh"])
    before = model.get_weights()
    copy = made.fold()
    np.testing.assert_array_equal(tf.function(copy)(x), tf.function(made)(x))
    assert copy is not model
    assert copy.compiled
    for own, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(own, other)


def test_what_has_no_gradient_is_an_error_not_zeros() -> None:
    model = mlp()
    x, y = batch(model)
    made = parametrize(model, ["scale=1", tf.round], include=["first/kernel"])
    with pytest.raises(RunFailed, match="no gradient reaches first_kernel"):
        made.training_step()(x, y)


def test_what_cannot_be_learned_is_refused() -> None:
    model = mlp()
    with pytest.raises(UsageError, match="no transform has a factor"):
        parametrize(model, "relu").training_step()
    with pytest.raises(UsageError, match="sqrt fails on first/kernel: must be real number"):
        tf.function(parametrize(model, "math:sqrt").weights, autograph=False)()
    with pytest.raises(UsageError, match=r"makes float32.* of first/kernel, which is"):
        parametrize(model, lambda weight: weight[0], include=["first/kernel"]).weights()
    with pytest.raises(InputError, match="not compiled"):
        parametrize(keras.Sequential([keras.Input((2,)), layers.Dense(1)]), "scale=1").training_step()


def test_states_are_kept_in_training() -> None:
    model = cnn()
    x, y = batch(model)
    moving = model.get_layer("norm").moving_mean.numpy()
    parametrize(model, "scale=1").training_step()(x, y)
    assert not np.array_equal(moving, model.get_layer("norm").moving_mean.numpy())


def test_a_model_that_cannot_be_saved_cannot_be_folded() -> None:
    class Secret(layers.Layer):
        def __init__(self, needed: int) -> None:
            super().__init__()
            self.inner = layers.Dense(needed)

        def call(self, inputs: Any) -> Any:
            return self.inner(inputs)

    model = keras.Sequential([keras.Input((2,)), Secret(2)])
    with pytest.raises(InputError, match="cannot be copied"):
        parametrize(model, "relu").fold()
    assert subclassed().built
