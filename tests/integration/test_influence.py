"""`tfopt influence` on models: what it says is what is in the weights, and the model is left alone."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import keras
import msgspec
import numpy as np
import pytest

import tfopt
from tfopt.cli.main import main
from tfopt.errors import InputError
from tfopt.records.influence import InfluenceRecord

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras, while saving

ROOT = Path(__file__).parents[2]
L = keras.layers


def small() -> Any:
    """A residual network on six numbers, of which one hidden unit carries nearly everything."""
    keras.utils.set_random_seed(3)
    inputs = keras.Input((6,))
    x = L.Dense(8, activation="relu", name="stem")(inputs)
    y = L.Dense(8, activation="gelu", name="branch")(x)
    x = L.Add(name="meet")([x, y])
    model = keras.Model(inputs, L.Dense(3, activation="softmax", name="head")(x), name="small")
    kernel = np.full((6, 8), 1e-3, "float32")
    kernel[:, 5] = 1.0
    model.get_layer("stem").kernel.assign(kernel)
    model.compile(loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


@pytest.fixture
def samples(tmp_path: Path) -> str:
    rng = np.random.default_rng(0)
    path = str(tmp_path / "samples.npz")
    np.savez(path, x=rng.standard_normal((40, 6)).astype("float32"), y=rng.integers(0, 3, 40))
    return path


def test_everything_at_once_in_a_terminal(tmp_path: Path, samples: str, capfd: pytest.CaptureFixture[str]) -> None:
    file, out = tmp_path / "small.keras", tmp_path / "a.json"
    small().save(file)
    before = file.read_bytes()
    asked = ["--data", samples, "--ablate", "2", "--groups", "head=head", "--strict", "-o", str(out)]
    assert main(["influence", str(file), *asked]) == 0
    said = capfd.readouterr().out
    assert "1 of 8 units of stem carry 80 % of all paths" in said
    assert file.read_bytes() == before
    record = msgspec.json.decode(out.read_bytes(), type=InfluenceRecord)
    assert record.run.samples == 40
    assert record.paths is not None
    assert record.relevance is not None
    assert record.health is not None
    assert record.ablation is not None
    assert record.strongest is not None
    assert [group.share for group in record.paths.groups] == [pytest.approx(1.0)]
    assert sum(edge.share for edge in record.paths.edges if edge.merge) == pytest.approx(1.0)
    assert record.relevance.inputs + record.relevance.biases + record.relevance.unattributed == pytest.approx(1)
    assert all(("small/stem", 5) in path.steps for path in record.strongest.paths)
    assert main(["report", str(out)]) == 0
    assert capfd.readouterr().out == said


def test_a_model_object_is_left_as_it_was(samples: str) -> None:
    model = small()
    weights, loss, optimizer = [value.copy() for value in model.get_weights()], model.loss, model.optimizer
    record = tfopt.influence(model, data=samples, paths=0, samples=16, batch_size=8)
    assert (record.run.samples, record.run.batch_size) == (16, 8)
    assert record.strongest is None
    assert all(np.array_equal(*pair) for pair in zip(model.get_weights(), weights, strict=True))
    assert (model.loss, model.optimizer) == (loss, optimizer)


def test_without_data_nothing_is_drawn() -> None:
    record = tfopt.influence(small(), paths=0)
    assert (record.run.mode, record.run.samples, record.relevance, record.health) == ("data-free", 0, None, None)
    assert record.notes == ()


def test_drawn_data_are_said() -> None:
    record = tfopt.influence(small(), mode="data", batch_size=4)
    assert record.paths is None
    assert any("drawn at random" in note.message for note in record.notes)


def test_data_without_targets_have_contributions_and_no_health(tmp_path: Path) -> None:
    path = str(tmp_path / "x.npz")
    np.savez(path, x=np.ones((4, 6), "float32"))
    record = tfopt.influence(small(), data=path, paths=0)
    assert record.relevance is not None
    assert record.health is None
    assert any("has no targets" in note.message for note in record.notes)
    with pytest.raises(InputError, match="has no targets, which health needs"):
        tfopt.influence(small(), data=path, paths=0, health=True)


def test_what_has_no_weights_carries_nothing() -> None:
    with pytest.raises(InputError, match="has no weights"):
        tfopt.influence(keras.Sequential([keras.Input((3,)), L.ReLU()]))


def test_a_pipeline_is_read_once_and_as_far_as_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "pipe.py").write_text(
        "import tensorflow as tf\n"
        "def made():\n"
        "    x = tf.random.stateless_normal((50, 6), (1, 2))\n"
        "    return tf.data.Dataset.from_tensor_slices((x, tf.range(50) % 3)).batch(8)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    few = tfopt.influence(small(), data="pipe:made", mode="data", samples=20, health=False)
    every = tfopt.influence(small(), data="pipe:made", mode="data", samples=999, health=False)
    assert (few.run.samples, every.run.samples) == (24, 50)
    assert every.run.inputs[0].shape == (50, 6)


def test_the_documented_rule_is_one() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "influence.md").read_text(), re.S)
    names: dict[str, Any] = {}
    exec(code, names)
    gated = names["Gated"]()
    model = keras.Sequential([keras.Input((4,)), gated, L.Dense(2)])
    record = tfopt.influence(model, paths=0, mode="both", batch_size=4, health=False)
    assert record.paths is not None
    assert record.relevance is not None
    assert (record.paths.consistent, record.relevance.consistent) == (True, True)
    rule = next(rule for rule in record.paths.layers if rule.type == "Gated")
    assert (rule.status, rule.reasons) == ("approximated", ("gate frozen",))
    kernel, head = (np.abs(np.asarray(layer.kernel, np.float64)) for layer in model.layers)
    assert record.paths.log10_total == pytest.approx(np.log10((np.ones(4) @ kernel * 0.5 @ head).sum()))
    assert record.relevance.inputs + record.relevance.biases == pytest.approx(1)
