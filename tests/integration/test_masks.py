"""Masks hold under every optimizer of Keras, and what is kept trains as if it were all there is."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, optimizers

import tfopt
from tfopt.errors import RunFailed, UsageError
from tfopt.pruning.masks import mask_of_each, masked
from tfopt.pruning.prunable import Masks, Prunable
from tfopt.pruning.slots import slots_of

OPTIMIZERS: dict[str, Callable[..., Any]] = {
    "SGD": lambda **more: optimizers.SGD(0.05, momentum=0.9, nesterov=True, **more),
    "Adam": lambda **more: optimizers.Adam(0.02, amsgrad=True, **more),
    "AdamW": lambda **more: optimizers.AdamW(0.02, **more),
    "RMSprop": lambda **more: optimizers.RMSprop(0.02, momentum=0.5, centered=True, **more),
    "Adagrad": lambda **more: optimizers.Adagrad(0.1, **more),
    "Adadelta": lambda **more: optimizers.Adadelta(1.0, **more),
    "Adamax": lambda **more: optimizers.Adamax(0.02, **more),
    "Nadam": lambda **more: optimizers.Nadam(0.02, **more),
    "Ftrl": lambda **more: optimizers.Ftrl(0.1, **more),
    "Lion": lambda **more: optimizers.Lion(0.02, **more),
    "Lamb": lambda **more: optimizers.Lamb(0.02, **more),
    "Adafactor": lambda **more: optimizers.Adafactor(0.02, **more),
    "Muon": lambda **more: optimizers.Muon(0.02, **more),
    "ScheduleFreeAdamW": lambda **more: optimizers.ScheduleFreeAdamW(0.02, **more),
}
EMA = {"use_ema": True, "ema_momentum": 0.9}
VARIANTS: dict[str, Callable[[Callable[..., Any]], Any]] = {
    "average": lambda make: make(
        **EMA, ema_overwrite_frequency=3, global_clipnorm=0.05, gradient_accumulation_steps=2, weight_decay=0.01
    ),
    "scaled": lambda make: optimizers.LossScaleOptimizer(make(**EMA, clipnorm=0.05), initial_scale=4.0),
}
RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(16, 6)), RNG.normal(size=(16, 3))


@pytest.fixture(autouse=True)
def exact(unoptimized: None) -> Any:
    """Rounding is no excuse."""
    for configure in (keras.config.set_floatx, keras.config.set_dtype_policy):  # Keras remembers the latter by itself
        configure("float64")
    keras.utils.set_random_seed(1)
    yield
    for configure in (keras.config.set_floatx, keras.config.set_dtype_policy):
        configure("float32")


def network() -> Any:
    return keras.Sequential([keras.Input((6,)), layers.Dense(5, activation="tanh"), layers.Dense(3)])


def kernels(model: Any) -> list[Prunable]:
    return [Prunable(each.kernel, each, each.path, (0,), (1,)) for each in model.layers if hasattr(each, "kernel")]


def masks_for(weights: list[Prunable], sparsity: float) -> Masks:
    """Nested: what goes at one sparsity is gone at all above."""
    return [np.random.default_rng(7).random(each.shape) >= sparsity for each in weights]


def trained_slots(optimizer: Any, model: Any) -> None:
    """Slots far from zero, positive since some are squares."""
    optimizer.build(model.trainable_variables)
    for slot in slots_of(optimizer):
        slot.value.assign(np.random.default_rng(3).uniform(0.1, 1, slot.value.shape))


def fit(model: Any, epochs: int = 1) -> None:
    model.fit(X, Y, batch_size=4, epochs=epochs, shuffle=False, verbose=0)


def stray(weights: list[Prunable], masks: Masks) -> float:
    """The largest number where there should be none."""
    return max(float(np.abs(each.variable.numpy()[~mask]).max()) for each, mask in zip(weights, masks, strict=True))


@pytest.mark.parametrize(
    ("name", "variant"), [*((name, "average") for name in OPTIMIZERS), ("SGD", "scaled"), ("Muon", "scaled")]
)
def test_zeros_are_exact(name: str, variant: str) -> None:
    model = network()
    optimizer = VARIANTS[variant](OPTIMIZERS[name])
    trained_slots(optimizer, model)
    model.compile(optimizer, "mse")
    weights = kernels(model)
    before = weights[0].variable.numpy()
    with masked(model, mask_of_each(weights, masks_for(weights, 0.3))) as masking:
        for sparsity in (0.3, 0.5, 0.6):  # cubic: ever smaller steps
            masking.update(mask_of_each(weights, masks_for(weights, sparsity)))
            fit(model)
            assert stray(weights, masks_for(weights, sparsity)) == 0
            assert masking.broken() == ()
    kept = masks_for(weights, 0.6)[0]
    assert np.all(np.isfinite(weights[0].variable.numpy()))
    assert np.all(weights[0].variable.numpy()[kept] != before[kept])


class Sparse(layers.Layer):
    """A dense layer whose only weights are those that a mask keeps."""

    def __init__(self, mask: np.ndarray, activation: str | None = None) -> None:
        super().__init__()
        self.mask = mask
        self.activation = keras.activations.get(activation)

    def build(self, shape: Any) -> None:
        self.kernel = self.add_weight(shape=(int(self.mask.sum()),), name="kernel")
        self.bias = self.add_weight(shape=(self.mask.shape[1],), initializer="zeros", name="bias")

    def call(self, inputs: Any) -> Any:
        kernel = tf.scatter_nd(np.argwhere(self.mask), self.kernel, self.mask.shape)
        return self.activation(inputs @ kernel + self.bias)


@pytest.mark.parametrize("name", [name for name in OPTIMIZERS if name not in ("Adafactor", "Muon")])
def test_the_rest_trains_as_if_it_were_all(name: str) -> None:
    """40 steps from trained slots. Adafactor and Muon look at rows and columns, which a list of survivors has not."""
    model = network()
    weights = kernels(model)
    masks = masks_for(weights, 0.6)
    twin = keras.Sequential([keras.Input((6,)), Sparse(masks[0], "tanh"), Sparse(masks[1])])
    for each in (model, twin):
        each.optimizer = OPTIMIZERS[name](**EMA, global_clipnorm=0.5, weight_decay=0.01)
        each.optimizer.build(each.trainable_variables)
    trained_slots(model.optimizer, model)
    mask_of = {each.variable.shape: mask for each, mask in zip(weights, masks, strict=True)}
    for own, other in zip(
        (*model.weights, *model.optimizer.variables), (*twin.weights, *twin.optimizer.variables), strict=True
    ):
        other.assign(own.numpy()[mask_of[own.shape]] if own.shape != other.shape else own)

    @tf.function(autograph=False)
    def step() -> None:
        for each in (model, twin):
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean((each(X) - Y) ** 2)
            each.optimizer.apply(tape.gradient(loss, each.trainable_weights), each.trainable_weights)

    with masked(model, mask_of_each(weights, masks)):
        for _ in range(40):
            step()
    for own, other in zip(model.trainable_weights, twin.trainable_weights, strict=True):
        kept = own.numpy()[mask_of[own.shape]] if own.shape != other.shape else own.numpy()
        np.testing.assert_allclose(kept, other.numpy(), rtol=0, atol=1e-9)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras, while saving
def test_attached_after_training_and_left_clean(tmp_path: Path) -> None:
    model = network()
    model.compile(optimizers.Adam(0.05, **EMA), "mse")
    fit(model, 2)
    config, settings = model.get_config(), model.optimizer.get_config()
    weights = kernels(model)
    masks = masks_for(weights, 0.5)
    with masked(model, mask_of_each(weights, masks)):
        fit(model, 2)
        model.save(tmp_path / "model.keras")
    assert stray(weights, masks) == 0
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for own, other in zip(model.weights, loaded.weights, strict=True):
        np.testing.assert_array_equal(own.numpy(), other.numpy())
    assert loaded.optimizer.get_config() == settings
    assert (model.get_config(), model.optimizer.get_config()) == (config, settings)
    assert "apply" not in vars(model.optimizer)
    assert "compile" not in vars(model)
    assert [each.variable.constraint for each in weights] == [None, None]
    fit(model)
    assert stray(weights, masks) > 0  # trains all of it again


def test_left_clean_by_an_exception_and_refused_twice() -> None:
    model = network()
    own = keras.constraints.MaxNorm(2.0)
    model.layers[0].kernel.constraint = own
    model.compile("sgd", "mse")
    weights = kernels(model)
    masks = masks_for(weights, 0.5)
    with pytest.raises(UsageError, match="masked already"), masked(model, mask_of_each(weights, masks)):
        masked(model, mask_of_each(weights[1:], masks[1:])).__enter__()
    assert [each.variable.constraint for each in weights] == [own, None]
    assert "apply" not in vars(model.optimizer)
    kernel, scores = weights[0].variable, np.abs(weights[0].values)
    before = scores.copy()
    for given, said in (
        ({"dense/kernal": masks[0]}, "has no variable dense/kernal"),
        ({kernel.path: masks[1]}, r"has the shape \(5, 3\)"),
        ({kernel.path: scores}, "numbers other than 0 and 1"),
        ([(kernel, masks[0]), (kernel.path, masks[0])], "given twice"),
        ([(model.variables[0], None)], r"has the shape \(\)"),
    ):
        with pytest.raises(UsageError, match=said), masked(model, given):
            pass
    with (
        masked(model, {kernel.path: np.ones(kernel.shape)}) as masking,
        pytest.raises(UsageError, match="the masking has no variable"),
    ):
        masking.update(mask_of_each(weights, masks))
    np.testing.assert_array_equal(np.abs(kernel), before)
    assert [each.variable.constraint for each in weights] == [own, None]


def test_the_example() -> None:
    """That of the docstring, to the letter."""
    text = masked.__doc__ or ""
    example = textwrap.dedent(text[text.index("        inputs =") : text.index("    The weights")])
    found: dict[str, Any] = {"tfopt": tfopt, "keras": keras, "x": X, "y": Y}
    exec(example, found)
    assert 0 < np.count_nonzero(found["kernel"].numpy()) == np.count_nonzero(found["size"] > 0.3) < 18


def test_parts_compiled_by_themselves_and_steps_traced_before() -> None:
    """The classic adversary: a part of the model, trained by itself before, whose optimizer averages."""
    part = network()
    part.compile(optimizers.SGD(0.05, **EMA), "mse", run_eagerly=True)
    whole = keras.Sequential([keras.Input((6,)), part])
    part.train_on_batch(X, Y)
    weights, masks = kernels(part), masks_for(kernels(part), 0.5)
    with masked(whole, mask_of_each(weights, masks)):
        fit(part)
        part.compile(optimizers.SGD(0.05, **EMA), "mse", run_eagerly=True)
        fit(part)
    assert stray(weights, masks) == 0
    assert "compile" not in vars(part)

    @tf.function  # by autograph, as users do
    def step() -> None:
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(part(X) ** 2)
        part.optimizer.apply(tape.gradient(loss, part.trainable_weights), part.trainable_weights)

    step()
    with pytest.raises(RunFailed, match="2 weights did not stay"), masked(part, mask_of_each(weights, masks)):
        step()


def test_a_constraint_of_its_own_comes_first() -> None:
    model = network()
    model.layers[0].kernel.constraint = lambda weight: weight * 0 + 2
    model.compile("sgd", "mse")
    weights = kernels(model)
    masks = masks_for(weights, 0.5)
    with masked(model, mask_of_each(weights, masks)):
        fit(model)
    np.testing.assert_array_equal(weights[0].variable.numpy(), np.where(masks[0], 2.0, 0.0))


def test_compiled_inside_and_traced_once() -> None:
    model = network()
    weights = kernels(model)
    traced = []

    def loss(y_true: Any, y_pred: Any) -> Any:
        traced.append(1)
        return keras.losses.mean_squared_error(y_true, y_pred)

    with masked(model, mask_of_each(weights, masks_for(weights, 0.2))) as masking:
        model.compile(optimizers.Muon(0.05, **EMA), loss)
        fit(model)
        once = len(traced)
        masking.update(mask_of_each(weights, masks_for(weights, 0.7)))
        fit(model)
        assert len(traced) == once
    assert stray(weights, masks_for(weights, 0.7)) == 0
    assert "apply" not in vars(model.optimizer)


def test_a_loop_of_ones_own_and_an_embedding() -> None:
    """Gradients of rows, and TensorFlow's variables in place of Keras's."""
    model = keras.Sequential([keras.Input((4,), dtype="int32"), layers.Embedding(9, 3), layers.Dense(2)])
    table = Prunable(model.layers[0].embeddings, model.layers[0], "embedding", (0,), (1,))
    masks = [np.random.default_rng(0).random((9, 3)) < 0.5]
    optimizer = optimizers.Muon(0.1, exclude_layers=[], exclude_embeddings=False, **EMA)
    with masked(model, mask_of_each([table], masks)) as masking:
        masking.hold(optimizer)
        values = [each.value for each in model.trainable_variables]
        for _ in range(3):
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum(model(np.array([[0, 1, 2, 1], [5, 6, 7, 8]])) ** 2)
            gradients = tape.gradient(loss, values)
            assert isinstance(gradients[0], tf.IndexedSlices)
            optimizer.apply_gradients(zip(gradients, values, strict=True))
    assert stray([table], masks) == 0
    assert "apply" not in vars(optimizer)
