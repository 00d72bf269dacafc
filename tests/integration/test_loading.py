"""Loading files made here, of every format, and networks by name: what is read, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.integration.loading_cases import X, assert_readable, small_model, with_config
from tfopt.errors import InputError, UsageError
from tfopt.model.inputs import input_specs
from tfopt.model.load import given, load

# Keras, while saving.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.mark.parametrize("saved_as", ["m.keras", "m.h5"])
@pytest.mark.parametrize("named", ["m.keras", "m.h5", "model", "mein modell 模.bin"])
def test_any_format_under_any_name(saved_as: str, named: str, tmp_path: Path) -> None:
    model = small_model()
    model.save(tmp_path / saved_as)
    path = (tmp_path / saved_as).rename(tmp_path / named)
    folder = sorted(item.name for item in tmp_path.iterdir())
    loaded = load(str(path))
    np.testing.assert_array_equal(loaded.model(X), model(X))
    assert loaded.model.compiled
    assert loaded.source.keras_version == keras.__version__
    assert sorted(item.name for item in tmp_path.iterdir()) == folder


def test_hdf5_of_keras_3_with_the_name_of_a_loss(tmp_path: Path) -> None:
    """Keras cannot read its own `loss="mse"` back from HDF5."""
    model = small_model()
    model.compile("adam", "mse")
    model.save(tmp_path / "m.h5")
    loaded = load(str(tmp_path / "m.h5"))
    assert not loaded.model.compiled
    assert "keras.metrics.mse" in loaded.notes[0].message


def test_an_unzipped_model(tmp_path: Path) -> None:
    model = small_model()
    model.save(tmp_path / "m", zipped=False)
    loaded = load(tmp_path / "m")
    assert (loaded.source.format, loaded.source.name) == ("keras", "m")
    np.testing.assert_array_equal(loaded.model(X), model(X))


def test_assets_are_loaded(tmp_path: Path) -> None:
    inputs = keras.Input((1,), dtype="string")
    lookup = keras.layers.StringLookup(vocabulary=["a", "b", "c"])
    keras.Model(inputs, lookup(inputs)).save(tmp_path / "m.keras")
    loaded = load(str(tmp_path / "m.keras"))
    assert loaded.model(tf.constant([["c"], ["z"]])).numpy().tolist() == [[3], [0]]


def test_a_giant_declared_shape_is_refused_before_it_is_allocated(tmp_path: Path) -> None:
    small_model().save(tmp_path / "m.keras")

    def grow(config: dict[str, Any]) -> None:
        config["config"]["layers"][-1]["config"]["units"] = 10**11

    with pytest.raises(InputError, match=r"declares weights of at least 1\.6 TB, far more than it stores"):
        load(str(with_config(tmp_path / "m.keras", grow)))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"module": "keras.optimizers", "class_name": "Adam", "config": {}}, "holds a Adam, not a model"),
        ({"module": "keras.layers", "class_name": "ReLU", "config": {}}, "holds a ReLU, not a model"),
        ({"module": "os", "class_name": "system", "config": {}}, "custom class system"),
        (
            {"module": "keras.utils", "class_name": "get_file", "config": {}},
            "not a modeling function|functions are not allowed",
        ),
        ({"module": "keras.layers", "class_name": "TFSMLayer", "config": {"filepath": "/x"}}, "holds code"),
    ],
)
def test_configurations_that_are_no_models(config: dict[str, Any], message: str, tmp_path: Path) -> None:
    small_model().save(tmp_path / "m.keras")
    path = with_config(tmp_path / "m.keras", lambda old: (old.clear(), old.update(config, registered_name=None)))
    with pytest.raises(InputError, match=message) as caught:
        load(str(path))
    assert_readable(caught.value)


def test_weights_of_another_network(tmp_path: Path) -> None:
    small_model().save(tmp_path / "m.keras")

    def widen(config: dict[str, Any]) -> None:
        config["config"]["layers"][-1]["config"]["units"] = 3

    with pytest.raises(InputError, match="cannot be loaded: <Dense name=dense") as caught:
        load(str(with_config(tmp_path / "m.keras", widen)))
    assert_readable(caught.value)


@pytest.mark.parametrize("name", ["m.keras", "m.h5"])
def test_lambdas_run_only_when_the_user_says_so(name: str, tmp_path: Path) -> None:
    inputs = keras.Input((4,))
    doubled = keras.layers.Lambda(lambda x: 2 * x, output_shape=(4,), name="doubled")
    inner = keras.Sequential([keras.Input((4,)), doubled], name="inner")
    keras.Model(inputs, inner(keras.layers.Dense(4)(inputs))).save(tmp_path / name)
    with pytest.raises(InputError, match="holds code") as caught:
        load(str(tmp_path / name))
    assert "--unsafe" in caught.value.hint
    assert load(str(tmp_path / name), unsafe=True).model.built


def test_a_compile_state_that_cannot_be_read(tmp_path: Path) -> None:
    small_model().save(tmp_path / "m.keras")
    path = with_config(tmp_path / "m.keras", lambda config: config["compile_config"].update(loss="no_such_loss"))
    loaded = load(str(path))
    assert not loaded.model.compiled
    (note,) = loaded.notes
    assert "no_such_loss" in note.message


def test_applications() -> None:
    keras.utils.set_random_seed(7)
    first = load("app:mobilenetv2", input_size=32)
    assert (first.source.name, first.source.path, first.source.format) == (
        "MobileNetV2",
        "app:mobilenetv2",
        "application",
    )
    assert input_specs(first.model)[0].shape == (None, 32, 32, 3)
    keras.utils.set_random_seed(7)
    again = load("app:MobileNetV2", input_size=32)
    for one, other in zip(first.model.weights, again.model.weights, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("name", "size", "message", "hint"),
    [
        ("app:MobilNetV2", None, "no network MobilNetV2", "app:MobileNetV2"),
        ("app:zzzzzzzz", None, "no network", "ResNet50"),
        (
            "app:MobileNetV2",
            8,
            "with --input-size 8 cannot be built: Input size must be at least 32x32",
            "--input-size",
        ),
        ("app:VGG16", 20_000, "declares weights of at least 3.3 TB", "smaller"),
    ],
)
def test_applications_that_cannot_be(name: str, size: int | None, message: str, hint: str) -> None:
    with pytest.raises(InputError) as caught:
        load(name, input_size=size)
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_an_input_size_is_for_applications(tmp_path: Path) -> None:
    small_model().save(tmp_path / "m.keras")
    with pytest.raises(UsageError, match="--input-size is for app:NAME"):
        load(str(tmp_path / "m.keras"), input_size=32)


def test_a_model_object() -> None:
    model = small_model()
    loaded = given(model)
    assert loaded.model is model
    assert (loaded.source.name, loaded.source.format, loaded.source.size_bytes) == ("small", "object", None)


def test_an_optimizer_from_hdf5_trains(tmp_path: Path) -> None:
    """Keras's reader builds it for no variables, and then it refuses to update the model's."""
    model = small_model()
    model.compile(keras.optimizers.SGD(0.5, momentum=0.9), keras.losses.MeanSquaredError())
    model.optimizer.build(model.trainable_variables)
    model.save(tmp_path / "m.h5")
    loaded = load(str(tmp_path / "m.h5")).model
    assert float(loaded.optimizer.learning_rate) == 0.5
    before = [np.array(weight) for weight in loaded.trainable_variables]
    loaded.train_on_batch(np.ones((2, *loaded.input_shape[1:])), np.ones((2, *loaded.output_shape[1:])))
    assert any((old != np.array(new)).any() for old, new in zip(before, loaded.trainable_variables, strict=True))


def test_hdf5_without_a_compile_state(tmp_path: Path) -> None:
    inputs = keras.Input((3,))
    keras.Model(inputs, keras.layers.Dense(2)(inputs)).save(tmp_path / "m.h5")
    loaded = load(str(tmp_path / "m.h5"))
    assert (loaded.model.compiled, loaded.notes) == (False, ())


def test_nothing_stays_in_the_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_model().save(tmp_path / "m.keras")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    load(str(tmp_path / "m.keras"))
    with pytest.raises(InputError):
        load(str(with_config(tmp_path / "m.keras", lambda config: config.update(class_name="Nothing", module=None))))
    assert list(temporary.iterdir()) == []
