"""What influence replaces inside Keras exists, and is back in its place whatever happens."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfopt.errors import RunFailed
from tfopt.pathways.interception import BACKENDS, PRIVATE, intercepted, layers_of
from tfopt.pathways.path_weights import path_weights
from tfopt.pathways.rules.activations import replacements

L = keras.layers


class Failing(L.Layer):
    """Fails where a test says so."""

    fails = False

    def call(self, x: Any) -> Any:
        if self.fails:
            raise RuntimeError("in the middle")
        return x


def _model() -> keras.Model:
    inputs = keras.Input((6, 4))
    x = L.LSTM(3, return_sequences=True)(inputs)
    x = L.Dense(3, activation="gelu")(L.MultiHeadAttention(1, 2)(x, x))
    x = keras.Sequential([L.Dense(3), L.BatchNormalization()])(x)
    return keras.Model(inputs, L.Dense(2, activation="softmax")(L.Flatten()(Failing()(x))))


def _state(model: keras.Model) -> list[Any]:
    """Everything that may not change, each as its identity or its bytes."""
    owners = {owner for owner, _ in PRIVATE if isinstance(owner, type)}
    kept = [(owner, name, id(value)) for owner in owners for name, value in vars(owner).items()]
    kept += [(module, name, id(value)) for module in BACKENDS.values() for name, value in vars(module).items()]
    kept += [(id(layer), name, id(value)) for layer in layers_of(model) for name, value in vars(layer).items()]
    weights = [(variable.path, variable.numpy().tobytes()) for variable in model.variables]
    return [*sorted(kept, key=repr), *weights, keras.config.floatx(), model.layers[1].dtype_policy.compute_dtype]


@pytest.mark.parametrize(("owner", "name"), PRIVATE, ids=lambda each: each if isinstance(each, str) else None)
def test_private_names_exist(owner: Any, name: str) -> None:
    assert hasattr(owner, name)


def test_replaced_functions_exist() -> None:
    for name in [*replacements(None), "nn.max_pool"]:
        module, function = name.split(".")
        assert callable(getattr(BACKENDS[module], function))


def _in_the_middle(model: keras.Model) -> None:
    def used() -> None:
        with _quiet(model):
            model(tf.zeros((1, 6, 4)))
            raise KeyError

    with pytest.raises(KeyError):
        used()


def _failing_layer(model: keras.Model) -> None:
    Failing.fails = True
    try:
        with pytest.raises(RunFailed, match="in the middle"):
            path_weights(model)
    finally:
        Failing.fails = False


def _nested(model: keras.Model) -> None:
    with _quiet(model):
        before = _state(model)
        with _quiet(model, dtype="float32"):
            assert model.layers[1].dtype_policy.compute_dtype == "float32"
        assert _state(model) == before
        assert model.layers[1].dtype_policy.compute_dtype == "float64"


@pytest.mark.parametrize("use", [path_weights, _in_the_middle, _failing_layer, _nested])
def test_everything_is_put_back(use: Callable[[keras.Model], Any]) -> None:
    model = _model()
    x = np.random.default_rng(0).normal(size=(2, 6, 4)).astype("float32")
    expected = np.asarray(model(x))
    before = _state(model)
    use(model)
    assert _state(model) == before
    np.testing.assert_array_equal(model(x), expected)


def _quiet(model: keras.Model, dtype: str = "float64") -> Any:
    """Replaces what can be replaced by what shows that it was called."""
    return intercepted(
        model,
        lambda operation, run, args, kwargs: run(*args, **kwargs),
        functions={"nn.relu": lambda original: lambda x: original(x) + 100},
        attributes={"activation": lambda function: lambda x: function(x)},
        values=[
            (variable, tf.cast(variable.value, dtype)) for variable in model.variables if variable.dtype == "float32"
        ],
        dtype=dtype,
    )


def test_other_threads_see_keras_as_it_is() -> None:
    model = _model()
    other = keras.Sequential([keras.Input((3,)), L.Dense(2, activation="relu")])
    x = np.ones((1, 3), "float32")
    expected = np.asarray(other(x))
    found: list[Any] = []
    with _quiet(model):
        thread = threading.Thread(target=lambda: found.append(other(x)))
        thread.start()
        thread.join()
        assert float(keras.ops.relu(np.zeros(1))[0]) == 100
        assert model.layers[1].dtype_policy.compute_dtype == "float64"
    assert found[0].dtype == "float32"
    np.testing.assert_array_equal(found[0], expected)
