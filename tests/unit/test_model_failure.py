"""What is said about errors of Keras, and limits on what a file may declare."""

from __future__ import annotations

import keras
import pytest

from tfopt.errors import InputError
from tfopt.model.budget import variable_budget
from tfopt.model.failure import cause, explain
from tfopt.model.source import ModelSource


def source(version: str | None = "3.9.0", format: str = "keras") -> ModelSource:
    return ModelSource("dir/m.keras", "m", format, 10, version, config={})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("too bad\nand more."), "too bad and more"),
        (ValueError("no class Full object config: {'a': 1}" + "x" * 10**6), "no class"),
        (
            TypeError("Error when deserializing class 'Dense' using\nconfig={'u': 1}\n\nException encountered: deep"),
            "deep",
        ),
        (
            ValueError(
                "A total of 3 objects could not be loaded. Example error message for object <Dense name=d>:\n\n"
                "expected 2 variables\n\nList of objects that could not be loaded:\n[...]"
            ),
            "<Dense name=d>: expected 2 variables",
        ),
        (ValueError("{{function_node __wrapped}} bad checksum [Op:Restore]"), "bad checksum [Op:Restore]"),
        (KeyError("layers"), "its configuration is not as Keras expects it (KeyError: 'layers')"),
        (ValueError(""), "its configuration is not as Keras expects it (ValueError)"),
    ],
)
def test_cause(error: Exception, text: str) -> None:
    assert cause(error) == text


def test_an_absent_class_names_itself_and_the_option() -> None:
    error = explain(source(), TypeError("Could not locate class 'Custom>Net'. Make sure … Full object config: {}"))
    assert error.message == "m.keras needs the custom class Net, whose code is not in the file"
    assert "--import package.module" in error.hint
    legacy = explain(source(format="hdf5"), ValueError("Unknown layer: 'Mine'. Please ensure …"))
    assert "custom class Mine" in legacy.message


def test_a_class_of_keras_is_not_custom() -> None:
    error = explain(source(), TypeError("Could not locate class 'Dense'. Make sure custom classes …"))
    assert "--import" not in error.hint


def test_code_in_the_file_names_the_option() -> None:
    error = explain(source(), ValueError("Requested the deserialization of a `Lambda` layer whose `function` is …"))
    assert "--unsafe" in error.hint


@pytest.mark.parametrize(
    ("version", "format", "hint"),
    [
        ("2.13.1", "keras", "tensorflow==2.13.*"),
        ("2.2.0", "hdf5", "pip install tf-keras"),
        ("2.11.0", "hdf5", "tf_keras.models.load_model"),
    ],
)
def test_keras_2_names_its_version_and_the_way_out(version: str, format: str, hint: str) -> None:
    error = explain(source(version, format), TypeError("pop expected at most 1 argument, got 2"))
    assert f"by Keras {version}" in error.message
    assert "pop expected" in error.message
    assert hint in error.hint
    assert "--mode infer" in error.hint


def test_other_errors_name_both_versions() -> None:
    error = explain(source("3.99.0"), ValueError("new things"))
    assert error.message == "m.keras cannot be loaded: new things"
    assert f"saved by Keras 3.99.0, this is Keras {keras.__version__}" in error.hint


def test_variables_beyond_the_budget_are_refused_before_they_are_made() -> None:
    layer = keras.layers.Dense(10**9)
    with variable_budget(10**6, "m.keras", "far too much", "do so") as budget, pytest.raises(InputError) as caught:
        layer.build((None, 10**6))
    assert caught.value.message == "m.keras declares weights of at least 4.0 PB, far too much"
    assert budget.refusal is caught.value


def test_the_budget_counts_what_keras_makes() -> None:
    with variable_budget(10**6, "m", "", "") as budget:
        keras.layers.Dense(10, dtype="float16").build((None, 20))
        keras.optimizers.Adam().build([keras.Variable(keras.initializers.Zeros(), (7, 3))])
    assert budget.taken_bytes >= (20 * 10 + 10) * 2 + 3 * 7 * 3 * 4
    assert budget.taken_bytes < (20 * 10 + 10) * 2 + 3 * 7 * 3 * 4 + 100


@pytest.mark.parametrize(
    "said",
    ["list indices must be integers or slices, not float", "unhashable type: 'dict'", "'<' not supported between"],
)
def test_python_s_own_complaints_are_put_into_context(said: str) -> None:
    assert cause(TypeError(said)) == f"its configuration is not as Keras expects it (TypeError: {said})"
    assert cause(TypeError(said), "its graph is odd") == f"its graph is odd (TypeError: {said})"
    assert cause(TypeError("missing 1 required positional argument: 'units'")).startswith("missing 1")
