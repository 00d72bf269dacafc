"""A model at other weights: what it computes and its gradients are those of a model that has these weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from bench.small_models import SMALL, batch, cnn, mlp, nested
from tfopt.errors import InputError, RunFailed, UsageError
from tfopt.model import raised
from tfopt.modified import afresh, scope
from tfopt.modified.functional_call import functional_call, overridden

Compute = Callable[[], Any]
HOW: dict[str, Callable[[Compute], Compute]] = {
    "eager": lambda compute: compute,
    "graph": lambda compute: tf.function(compute, autograph=False),
    "xla": lambda compute: tf.function(compute, autograph=False, jit_compile=True),
}


@pytest.fixture(autouse=True)
def seeded() -> None:
    keras.utils.set_random_seed(0)


def _others(model: keras.Model) -> list[tuple[Any, tf.Tensor]]:
    """Every trainable weight with other values."""
    rng = np.random.default_rng(1)
    return [
        (weight, tf.constant(weight.numpy() * 0.5 + 0.1 * rng.standard_normal(weight.shape).astype("float32")))
        for weight in model.trainable_weights
    ]


def _state(model: keras.Model) -> list[np.ndarray]:
    return [variable.numpy() for variable in model.non_trainable_variables]


def _restore(variables: list[Any], values: list[np.ndarray]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _both_ways(model: keras.Model, how: str, training: bool) -> tuple[list[Any], list[Any]]:
    """Loss, gradients and new states: by overriding, and of a model that was given the weights."""
    x, y = batch(model)
    others = _others(model)
    tensors = [value for _, value in others]
    states = _state(model)

    def overriding() -> Any:
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            with overridden(model, others):
                loss = model.compute_loss(x, y, model(x, training=training), training=training)
        return loss, tape.gradient(loss, tensors)

    def assigned() -> Any:
        with tf.GradientTape() as tape:
            loss = model.compute_loss(x, y, model(x, training=training), training=training)
        return loss, [tf.convert_to_tensor(each) for each in tape.gradient(loss, model.trainable_variables)]

    def run(compute: Compute) -> list[Any]:
        loss, gradients = HOW[how](compute)()
        return [loss, *(tf.convert_to_tensor(each) for each in gradients), *_state(model)]

    ours = run(overriding)
    _restore(model.non_trainable_variables, states)
    for variable, value in others:
        variable.assign(value)
    return ours, run(assigned)


@pytest.mark.parametrize(("name", "how"), [*((name, "eager") for name in SMALL), ("cnn", "graph")])
def test_overriding_is_bit_equal_to_having_the_weights(name: str, how: str) -> None:
    """In training, with its dropout, regularizers, statistics and seeds."""
    for mine, theirs in zip(*_both_ways(SMALL[name](), how, training=True), strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("name", ["mlp"])
def test_under_xla_as_well(name: str) -> None:
    for mine, theirs in zip(*_both_ways(SMALL[name](), "xla", training=False), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("policy", "build"), [("mixed_float16", cnn), ("mixed_bfloat16", nested)])
def test_mixed_precision_is_bit_equal_in_a_graph(policy: str, build: Callable[[], keras.Model]) -> None:
    keras.config.set_dtype_policy(policy)
    try:
        model = build()
    finally:
        keras.config.set_dtype_policy("float32")
    for mine, theirs in zip(*_both_ways(model, "graph", training=True), strict=True):
        np.testing.assert_array_equal(mine, theirs)


class Decorated(layers.Dense):
    """A layer whose calls are traced."""

    @tf.function
    def call(self, inputs: Any) -> Any:
        if tf.reduce_sum(inputs) > 1e9:  # needs AutoGraph in a graph
            return inputs
        return super().call(inputs)


def _remembering(how: str) -> keras.Model:
    """A layer that remembers a trace, and one that is computed again in the backward pass (in a graph Keras fails)."""
    inputs = keras.Input((6,))
    with keras.RematScope(mode="full" if how == "eager" else None):
        again = layers.Dense(5, activation="tanh", name="again")
    model = keras.Model(inputs, layers.Dense(3, activation="softmax")(again(Decorated(6, name="traced")(inputs))))
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model


@pytest.mark.parametrize("how", ["eager", "graph"])
def test_what_was_traced_and_what_is_computed_again_read_the_overrides(how: str) -> None:
    model = _remembering(how)
    model(batch(model)[0])
    for mine, theirs in zip(*_both_ways(model, how, training=True), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_what_is_traced_meanwhile_does_not_keep_the_overrides() -> None:
    layer = Decorated(6)
    layer.build((None, 6))
    functional_call(layer, [(layer.kernel, tf.zeros((6, 6)))], tf.ones((2, 6)))
    assert np.asarray(layer(tf.ones((2, 6)))).any()


def test_the_model_is_as_before_and_states_are_kept() -> None:
    model = cnn()
    x, _ = batch(model)
    weights, moving = [weight.numpy() for weight in model.trainable_weights], model.get_layer("norm").moving_mean
    before, seeds = moving.numpy(), model.get_layer("drop").seed_generator.state.numpy()
    functional_call(model, {weight.path: 2 * weight.value for weight in model.trainable_weights}, x, training=True)
    for weight, value in zip(model.trainable_weights, weights, strict=True):
        np.testing.assert_array_equal(weight.numpy(), value)
    assert not np.array_equal(moving.numpy(), before)
    assert not np.array_equal(model.get_layer("drop").seed_generator.state.numpy(), seeds)


def test_losses_are_those_of_the_overridden_weights() -> None:
    model = mlp()
    x, _ = batch(model)
    kernel = model.get_layer("first").kernel
    regularized = float(tf.reduce_sum(model.losses))
    _, losses = functional_call(model, [(kernel, tf.zeros(kernel.shape))], x, return_losses=True)
    assert len(losses) == 2
    assert regularized > 0
    assert sorted(map(float, losses))[0] == 0


def test_calls_nest() -> None:
    model = mlp()
    x, _ = batch(model)
    first, second = model.get_layer("first").kernel, model.get_layer("second").kernel
    with overridden(model, [(first, tf.ones(first.shape)), (second, tf.zeros(second.shape))]):
        inner = functional_call(model, [(second, tf.ones(second.shape))], x)
        outer = model(x)
    assigned = {first.path: tf.ones(first.shape), second.path: tf.ones(second.shape)}
    np.testing.assert_array_equal(inner, functional_call(model, assigned, x))
    assert not np.array_equal(inner, outer)
    assert len(np.unique(first.numpy())) > 1


def test_an_exception_leaves_nothing_behind() -> None:
    model = mlp()
    kernel = model.get_layer("first").kernel
    with pytest.raises(ZeroDivisionError), overridden(model, [(kernel, tf.zeros(kernel.shape))], dtype="float64"):
        raise ZeroDivisionError
    assert kernel.numpy().any()
    assert model(batch(model)[0]).dtype == tf.float32
    assert not keras.StatelessScope().state_mapping
    assert keras.config.floatx() == "float32"


def test_updates_of_overridden_variables_are_refused() -> None:
    model = cnn()
    x, _ = batch(model)
    path = model.get_layer("norm").moving_mean.path
    for wrap in (lambda call: call, lambda call: tf.function(call, autograph=False)):
        with pytest.raises(RunFailed, match=f"{path} is overridden, and the call updates it"):
            wrap(lambda: functional_call(model, {path: tf.zeros(4)}, x, training=True))()
    assert functional_call(model, {path: tf.zeros(4)}, x, training=False).shape == (4, 3)


def test_everything_in_float64() -> None:
    """What a float32 model would compute if it were a float64 one."""
    for name, build in SMALL.items():
        model = build()
        x, y = batch(model)
        with overridden(model, {}, dtype="float64"):
            wide = [x if x.dtype.is_integer else tf.cast(x, "float64")]
            loss = model.compute_loss(x, y, model(wide[0], training=False), training=False)
        assert loss.dtype == tf.float64, name
        narrow = model.compute_loss(x, y, model(x, training=False), training=False)
        assert abs(float(loss) - float(narrow)) < 1e-5 * float(loss), name
        assert float(loss) != float(narrow)
    model = mlp()
    wide = functional_call(model, {}, tf.ones((2, 6), "uint8"), dtype="float64")
    np.testing.assert_array_equal(wide, functional_call(model, {}, tf.ones((2, 6)), dtype="float64"))


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (lambda kernel: {"first/kernal": tf.zeros((6, 5))}, "has no variable first/kernal .did you mean first/kernel"),
        (lambda kernel: {kernel.path: tf.zeros((5, 5))}, r"has the shape \(6, 5\), its override \(5, 5\)"),
        (lambda kernel: {kernel.path: tf.zeros((6, 5), "float64")}, "is float32, its override float64"),
        (lambda kernel: {kernel.path: np.zeros((6, 5))}, "is float32, its override float64"),
        (lambda kernel: [(kernel, tf.zeros((6, 5))), (kernel.path, tf.zeros((6, 5)))], "given twice"),
        (lambda kernel: [(keras.Variable(0.0, name="mine"), tf.zeros(()))], "has no variable mine"),
        (lambda kernel: [(kernel.value, tf.zeros((6, 5)))], "ResourceVariable is neither a path nor"),
        (lambda kernel: [kernel], "override of first/kernel is no tensor"),
    ],
)
def test_what_fits_no_variable_is_refused(overrides: Any, said: str) -> None:
    model = mlp()
    with pytest.raises(UsageError, match=said):
        functional_call(model, overrides(model.get_layer("first").kernel), batch(model)[0])


def test_not_strict_passes_over_what_is_unknown() -> None:
    model = mlp()
    x, _ = batch(model)
    np.testing.assert_array_equal(functional_call(model, {"absent": tf.zeros(())}, x, strict=False), model(x))


def test_a_model_without_weights_yet_is_refused() -> None:
    with pytest.raises(InputError, match="is not built"):
        functional_call(keras.Sequential([layers.Dense(2)], name="empty"), {}, tf.zeros((1, 2)))


def test_private_names_exist() -> None:
    for owner, name in (*raised.PRIVATE, *scope.PRIVATE, *afresh.PRIVATE):
        assert hasattr(owner, name), name
