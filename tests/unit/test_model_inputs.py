"""Inputs and their vocabularies: each is verified by running the model at the bound, and found wrong beyond it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfopt.errors import InputError, UsageError
from tfopt.model.inputs import InputSpec, input_specs, pack_inputs

L = keras.layers


class TokensAndPositions(keras.layers.Layer):  # type: ignore[misc]
    """The composite layer of many tutorials: two tables, of which the input feeds only one."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.tokens, self.positions = L.Embedding(50, 4), L.Embedding(6, 4)

    def call(self, inputs: Any) -> Any:
        return self.tokens(inputs) + self.positions(keras.ops.arange(6))


class Table(keras.layers.Layer):  # type: ignore[misc]
    """A table without an Embedding."""

    def build(self, shape: Any) -> None:
        self.table = self.add_weight(shape=(11, 3), name="table")

    def call(self, inputs: Any) -> Any:
        return tf.gather(self.table, tf.cast(inputs, "int32"))


class Patches(keras.layers.Layer):  # type: ignore[misc]
    """Numbers go in; the table is for positions only."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.project, self.positions = L.Dense(4), L.Embedding(6, 4)

    def call(self, inputs: Any) -> Any:
        return self.project(inputs) + self.positions(keras.ops.arange(6))


def one(inputs: Any, outputs: Any) -> Any:
    return keras.Model(inputs, outputs)


def embedded() -> Any:
    x = keras.Input((6,))
    return one(x, L.Embedding(7, 2)(x))


def through_shapes() -> Any:
    x = keras.Input((6,), dtype="int32")
    y = L.Permute((2, 1))(L.Reshape((2, 3))(x))
    return one(x, L.Embedding(7, 2)(L.Flatten()(y)))


def through_ops() -> Any:
    x = keras.Input((6,), dtype="int64")
    return one(x, L.Embedding(7, 2)(keras.ops.cast(keras.ops.expand_dims(x[:, 1:3], -1), "int32")))


def two_tables() -> Any:
    x = keras.Input((6,), dtype="int32")
    return one(x, L.Concatenate()([L.Embedding(9, 2)(x), L.Embedding(7, 2)(x)]))


def in_a_submodel() -> Any:
    inner = keras.Sequential([keras.Input((6,)), L.Identity(), L.Embedding(7, 2)])
    x = keras.Input((6,))
    return one(x, inner(L.RepeatVector(1)(x)[:, 0]))


def through_a_submodel() -> Any:
    y = keras.Input((6,))
    inner = keras.Model(y, L.Reshape((3, 2))(y))
    x = keras.Input((6,))
    return one(x, L.Embedding(7, 2)(inner(x)))


def for_each_step() -> Any:
    x = keras.Input((3, 6), dtype="int32")
    return one(x, L.TimeDistributed(L.Embedding(7, 2))(x))


def for_each_step_of_a_model() -> Any:
    y = keras.Input((6,))
    x = keras.Input((3, 6))
    return one(x, L.TimeDistributed(keras.Model(y, L.Embedding(7, 2)(y)))(x))


def a_composite_layer() -> Any:
    x = keras.Input((6,))
    return one(x, TokensAndPositions()(x))


def a_table_of_its_own() -> Any:
    x = keras.Input((6,))
    return one(x, Table()(x))


def a_sequence_of_layers() -> Any:
    return keras.Sequential([keras.Input((6,)), Table(), L.Dense(2)])


FOUND: dict[Callable[[], Any], int] = {
    embedded: 7,
    through_shapes: 7,
    through_ops: 7,
    two_tables: 7,
    in_a_submodel: 7,
    through_a_submodel: 7,
    for_each_step: 7,
    for_each_step_of_a_model: 7,
    a_composite_layer: 50,
    a_table_of_its_own: 11,
    a_sequence_of_layers: 11,
}


def filled(model: Any, values: list[int]) -> Any:
    specs = input_specs(model)
    tensors = [
        tf.fill([2, *(size or 3 for size in spec.shape[1:])], tf.cast(value, spec.dtype))
        for spec, value in zip(specs, values, strict=True)
    ]
    return pack_inputs(model, tensors)


def runs(model: Any, values: list[int]) -> bool:
    try:
        model(filled(model, values))
    except (tf.errors.InvalidArgumentError, ValueError):
        return False
    return True


@pytest.mark.parametrize("build", FOUND, ids=lambda build: build.__name__)
def test_the_vocabulary_is_the_exact_bound(build: Callable[[], Any]) -> None:
    model = build()
    (spec,) = input_specs(model)
    assert spec.vocabulary == FOUND[build]
    assert runs(model, [spec.vocabulary - 1])
    assert not runs(model, [spec.vocabulary])


def test_categories_that_are_only_encoded() -> None:
    x = keras.Input((6,), dtype="int32")
    assert input_specs(one(x, L.CategoryEncoding(num_tokens=8, output_mode="multi_hot")(x)))[0].vocabulary == 8


def test_each_input_has_the_vocabulary_of_its_own_table() -> None:
    inputs = [keras.Input((1,), name=name) for name in "abc"]
    tables = [L.Flatten()(L.Embedding(rows, 2)(x)) for rows, x in zip((5, 9), inputs[:2], strict=True)]
    model = keras.Model(inputs, L.Dense(1)(L.Concatenate()([*tables, inputs[2]])))
    assert [(spec.name, spec.vocabulary) for spec in input_specs(model)] == [("a", 5), ("b", 9), ("c", None)]


def test_numbers_have_no_vocabulary() -> None:
    x = keras.Input((6, 8), name="x")
    assert input_specs(one(x, L.Dense(2)(x))) == (InputSpec("x", (None, 6, 8), "float32"),)
    assert input_specs(one(x, Patches()(x)))[0].vocabulary is None
    dense_first = one(x, L.Embedding(7, 2)(L.Flatten()(L.Dense(1, activation="relu")(x))))
    assert input_specs(dense_first)[0].vocabulary is None


def test_shapes_names_and_dtypes() -> None:
    inputs = {"tokens": keras.Input((None,), name="tokens", dtype="int32"), "f": keras.Input((3, 2), 4, name="f")}
    x = L.GlobalAveragePooling1D()(L.Embedding(7, 2)(inputs["tokens"]))
    model = keras.Model(inputs, L.Concatenate()([x, L.Flatten()(inputs["f"])]))
    assert input_specs(model) == (
        InputSpec("f", (4, 3, 2), "float32"),
        InputSpec("tokens", (None, None), "int32", 7),
    )
    packed = pack_inputs(model, ["F", "T"])
    assert packed == {"f": "F", "tokens": "T"}


def test_strings() -> None:
    x = keras.Input((1,), dtype="string", name="words")
    model = one(x, L.StringLookup(vocabulary=["a", "b"], output_mode="multi_hot")(x))
    assert input_specs(model) == (InputSpec("words", (None, 1), "string"),)


def test_names_do_not_depend_on_what_was_built_before() -> None:
    x = keras.Input((2,), name="picture")
    assert input_specs(one(x, L.Dense(1)(x)))[0].name == "picture"


@keras.saving.register_keras_serializable("tests")
class Columns(keras.Model):  # type: ignore[misc]
    """A subclassed model whose input columns feed different tables."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.user, self.sex = L.Embedding(20, 4), L.Embedding(3, 4)

    def call(self, inputs: Any) -> Any:
        return self.user(inputs[:, 0]) + self.sex(inputs[:, 1])


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras, while saving
def test_a_subclassed_model_from_a_file(tmp_path: Any) -> None:
    model = Columns()
    model(np.zeros((5, 2)))
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    assert input_specs(loaded) == (InputSpec("input", (None, 2), "float32", 3),)


def test_an_unbuilt_model_needs_a_shape() -> None:
    model = Columns(name="columns")
    with pytest.raises(InputError, match="columns does not say what input it takes") as caught:
        input_specs(model)
    assert "--input-shape" in caught.value.hint
    assert input_specs(model, input_shape=["2"]) == (InputSpec("input_0", (None, 2), "float32", 3),)


@pytest.mark.parametrize("shape", ["a,b", "3,0", "3,-1"])
def test_a_shape_that_is_none(shape: str) -> None:
    with pytest.raises(UsageError):
        input_specs(Columns(), input_shape=[shape])


class OnlyIntegers(keras.Model):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.table = L.Embedding(5, 2)

    def call(self, inputs: Any) -> Any:
        return tf.nn.embedding_lookup(self.table.embeddings, tf.bitwise.invert(tf.bitwise.invert(inputs["ids"])))


def test_a_subclassed_model_that_takes_integers() -> None:
    model = OnlyIntegers()
    model.table.build(None)
    model({"ids": tf.zeros((2, 3), "int32")})
    (spec,) = input_specs(model)
    assert (spec.name, spec.dtype, spec.shape) == ("ids", "int32", (None, 3))
    assert pack_inputs(model, ["x"]) == {"ids": "x"}
