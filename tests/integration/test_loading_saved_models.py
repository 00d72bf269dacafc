"""Loading SavedModels: their signatures, and what is damaged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.integration.loading_cases import X, assert_readable, small_model
from tfopt.errors import InputError
from tfopt.model.inputs import InputSpec, input_specs
from tfopt.model.load import load
from tfopt.model.savedmodel import ServingFunction

# Keras, while saving.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


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


def test_a_damaged_fingerprint_is_a_note(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """TensorFlow logs a whole traceback for a file that it can do without."""
    small_model().export(tmp_path / "m", verbose=False)
    (tmp_path / "m" / "fingerprint.pb").write_bytes(b"\xff" * 20)
    capfd.readouterr()
    loaded = load(str(tmp_path / "m"))
    assert [note.message for note in loaded.notes if "Fingerprint was found, but" in note.message]
    assert capfd.readouterr() == ("", "")
