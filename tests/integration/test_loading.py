"""Loading: every real file with the outcome it must have, and files made here of every format."""

from __future__ import annotations

import hashlib
import json
import re
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf

from tfopt.errors import InputError, TfoptError, UsageError
from tfopt.model.inputs import InputSpec, input_specs, pack_inputs
from tfopt.model.layers import layer_tree
from tfopt.model.load import given, load
from tfopt.model.savedmodel import ServingFunction

# Keras, while saving.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

# The table of the real files: format, version, input shapes, and whether the compile state is read.
LOADS: dict[str, tuple[str, str, list[tuple[int | None, ...]], bool]] = {
    "devanagari_cnn.keras": ("keras", "3.4.1", [(None, 32, 32, 3)], True),
    "sudoku_cnn_logits.keras": ("keras", "3.8.0", [(None, 28, 28, 1)], True),
    "melody_lstm.keras": ("keras", "3.12.1", [(None, None, 41)], True),
    "recommender_five_inputs.keras": ("keras", "3.8.0", [(None, 1)] * 5, True),
    "driving_two_inputs.keras": ("keras", "3.3.3", [(None, 66, 200, 3), (None, 3)], True),
    "driving_two_inputs.h5": ("hdf5", "3.3.3", [(None, 66, 200, 3), (None, 3)], False),
    "ecg_unet1d_nested.keras": ("keras", "3.6.0", [(None, 256, 1)], True),
    "sentiment_hdf5_named_keras.keras": ("hdf5", "2.11.0", [(None, None)], False),
}
REFUSED: dict[str, tuple[str, str]] = {
    "mario_hdf5_named_keras.keras": (r"is HDF5 saved by Keras 2\.2\.0.*pop expected at most 1 argument", "tf-keras"),
    "style_transfer_keras2.keras": (r"saved by Keras 2\.13\.1", r"tensorflow==2\.13\.\*.*export"),
    "recommender_custom_class.keras": (r"custom class RecommenderNet", r"--import package\.module"),
    "captioning_git_lfs_pointer.keras": (r"Git LFS pointer.*\(134 bytes, points to a 254\.8 MB file\)", "git lfs pull"),
    "pickled_weights.keras": (r"Python pickle", "never loaded"),
}


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def assert_readable(error: TfoptError) -> None:
    for line in (error.message, error.hint):
        assert line
        assert line.isprintable()
        assert len(line) < 500


@pytest.mark.parametrize("name", LOADS)
def test_a_real_file_loads(name: str, real_models: Path) -> None:
    format, version, shapes, compiled = LOADS[name]
    before = digest(real_models / name)
    loaded = load(str(real_models / name))
    assert (loaded.source.format, loaded.source.keras_version) == (format, version)
    assert loaded.source.size_bytes == (real_models / name).stat().st_size
    assert [spec.shape for spec in input_specs(loaded.model)] == shapes
    assert bool(loaded.model.compiled) is compiled
    assert len(layer_tree(loaded.model)) > 4
    assert digest(real_models / name) == before
    messages = [note.message for note in loaded.notes]
    assert all("without its compile state" in message for message in messages)
    assert len(messages) == (0 if compiled else 1)


@pytest.mark.parametrize("name", REFUSED)
def test_a_real_file_is_refused(name: str, real_models: Path) -> None:
    message, hint = REFUSED[name]
    with pytest.raises(InputError, match=message) as caught:
        load(str(real_models / name))
    assert caught.value.message.startswith(name)
    assert_readable(caught.value)
    assert re.search(hint, caught.value.hint)


def test_the_table_is_complete(real_models: Path) -> None:
    files = {path.name for path in real_models.iterdir() if path.suffix in (".keras", ".h5")}
    assert files == LOADS.keys() | REFUSED.keys()


def test_every_vocabulary_of_the_recommender(real_models: Path) -> None:
    """Brute force: the largest integer of each input that its Embedding takes."""
    model = load(str(real_models / "recommender_five_inputs.keras")).model
    specs = input_specs(model)

    def runs(position: int, value: int) -> bool:
        tensors = [tf.fill((2, 1), float(value if position == other else 0)) for other in range(len(specs))]
        try:
            model(pack_inputs(model, tensors))
        except tf.errors.InvalidArgumentError:
            return False
        return True

    tables = [layer.input_dim for layer in model.layers if isinstance(layer, keras.layers.Embedding)]
    assert sorted(spec.vocabulary for spec in specs if spec.vocabulary) == sorted(tables)
    for position, spec in enumerate(specs):
        candidates = [rows for rows in {*tables, 10**6} if not runs(position, rows)]
        assert spec.vocabulary == min(candidates, default=None)
        assert spec.vocabulary is None or runs(position, spec.vocabulary - 1)


RECOMMENDER = """
import keras
L = keras.layers

{register}
class RecommenderNet(keras.Model):
    def __init__(self, num_users, num_movies, num_gender, num_ages, embedding_size, **kwargs):
        super().__init__(**kwargs)
        sizes = [("user", num_users), ("movie", num_movies), ("sex", num_gender), ("age", num_ages)]
        for name, rows in sizes:
            setattr(self, name + "_embedding", L.Embedding(rows, embedding_size))
            setattr(self, name + "_bias", L.Embedding(rows, 1))
        self.dense1, self.dense2, self.dense3 = L.Dense(32), L.Dense(64), L.Dense(128)
        self.dropout = L.Dropout(0.1)
        self.output_layer = L.Dense(1)

    def call(self, x):
        user, movie = self.user_embedding(x[:, 0]), self.movie_embedding(x[:, 1])
        total = keras.ops.sum(user * movie, -1, keepdims=True)
        total += self.user_bias(x[:, 0]) + self.movie_bias(x[:, 1]) + self.sex_bias(x[:, 2]) + self.age_bias(x[:, 3])
        total += keras.ops.sum(self.sex_embedding(x[:, 2]) * self.age_embedding(x[:, 3]), -1, keepdims=True)
        return self.output_layer(self.dropout(self.dense3(self.dense2(self.dense1(total)))))
"""


@pytest.mark.parametrize("register", ["", "@keras.saving.register_keras_serializable()"])
def test_the_custom_class_brought_with_import(
    register: str, real_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    module = "for_loading_registered" if register else "for_loading_plain"
    (tmp_path / f"{module}.py").write_text(RECOMMENDER.format(register=register))
    loaded = load(str(real_models / "recommender_custom_class.keras"), imports=[module])
    assert type(loaded.model).__name__ == "RecommenderNet"
    assert loaded.model.compiled
    assert loaded.notes == ()
    # The columns of its one input feed tables of 943, 378, 2 and 7 rows.
    assert input_specs(loaded.model) == (InputSpec("input", (None, 4), "float32", 2),)
    with zipfile.ZipFile(real_models / "recommender_custom_class.keras") as archive:
        archive.extract("model.weights.h5", tmp_path)
    with h5py.File(tmp_path / "model.weights.h5") as file:
        np.testing.assert_array_equal(loaded.model.age_bias.embeddings, file["age_bias/vars/0"])


def small_model() -> Any:
    inputs = keras.Input((5,), name="tokens", dtype="int32")
    x = keras.layers.LSTM(4, name="lstm")(keras.layers.Embedding(13, 4, name="embedding")(inputs))
    model = keras.Model(inputs, keras.layers.Dense(2, name="dense")(x), name="small")
    model.compile("adam", keras.losses.MeanSquaredError())
    return model


X = np.arange(10).reshape(2, 5) % 13


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


def with_config(path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """The archive with another configuration."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members["config.json"])
    change(config)
    members["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


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


def test_a_saved_model(tmp_path: Path) -> None:
    model = small_model()
    model.export(tmp_path / "exported", verbose=False)
    loaded = load(str(tmp_path / "exported"))
    serving = loaded.model
    assert isinstance(serving, ServingFunction)
    assert (loaded.source.format, serving.name, serving.signature) == ("savedmodel", "exported", "serving_default")
    assert input_specs(serving) == (InputSpec("tokens", (None, 5), "int32", 13),)
    assert sorted(tuple(v.shape) for v in serving.variables) == sorted(tuple(v.shape) for v in model.variables[:6])
    step = tf.function(serving)
    (output,) = step({"tokens": tf.constant(X, tf.int32)}).values()
    np.testing.assert_allclose(output, model(X), rtol=1e-5)
    names = serving.op_names()
    assert any("/lstm" in name and "MatMul" in name for name in names)
    assert all(op.calls for op in serving.ops() if op.type == "MatMul")


class Doubler(tf.Module):  # type: ignore[misc]
    @tf.function(input_signature=[tf.TensorSpec((None, 2), name="x")])
    def double(self, x: Any) -> Any:
        return {"y": 2 * x}


def test_the_only_signature_is_taken(tmp_path: Path) -> None:
    module = Doubler()
    tf.saved_model.save(module, tmp_path / "one", {"twice": module.double})
    assert load(str(tmp_path / "one")).model.signature == "twice"
    tf.saved_model.save(module, tmp_path / "two", {"a": module.double, "b": module.double})
    with pytest.raises(InputError, match=r"no serving_default signature, but several others: a, b"):
        load(str(tmp_path / "two"))
    tf.saved_model.save(tf.Module(), tmp_path / "none")
    with pytest.raises(InputError, match="without signatures"):
        load(str(tmp_path / "none"))


@pytest.mark.parametrize(
    "part", ["saved_model.pb", "variables/variables.index", "variables/variables.data-00000-of-00001"]
)
def test_a_damaged_saved_model(part: str, tmp_path: Path) -> None:
    small_model().export(tmp_path / "m", verbose=False)
    content = (tmp_path / "m" / part).read_bytes()
    (tmp_path / "m" / part).write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match="is a SavedModel that cannot be read") as caught:
        load(str(tmp_path / "m"))
    assert_readable(caught.value)


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


def test_a_damaged_fingerprint_is_a_note(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """TensorFlow logs a whole traceback for a file that it can do without."""
    small_model().export(tmp_path / "m", verbose=False)
    (tmp_path / "m" / "fingerprint.pb").write_bytes(b"\xff" * 20)
    capfd.readouterr()
    loaded = load(str(tmp_path / "m"))
    assert [note.message for note in loaded.notes if "Fingerprint was found, but" in note.message]
    assert capfd.readouterr() == ("", "")


def test_nothing_stays_in_the_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_model().save(tmp_path / "m.keras")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    load(str(tmp_path / "m.keras"))
    with pytest.raises(InputError):
        load(str(with_config(tmp_path / "m.keras", lambda config: config.update(class_name="Nothing", module=None))))
    assert list(temporary.iterdir()) == []
