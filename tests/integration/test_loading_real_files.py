"""Loading real files, saved by strangers: each with the outcome that it must have."""

from __future__ import annotations

import hashlib
import re
import sys
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.integration.loading_cases import assert_readable
from tfopt.errors import InputError
from tfopt.model.inputs import InputSpec, input_specs, pack_inputs
from tfopt.model.layers import layer_tree
from tfopt.model.load import load

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
