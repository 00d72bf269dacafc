"""`tfopt check` on real models: a metric on data, a file that is not there, and a lock that tells which layers grew."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import msgspec
import numpy as np
import pytest
from keras import layers

from tfopt.checks.environment import environment
from tfopt.checks.lock import updated, write_lock
from tfopt.profiling.census.finding import model_facts
from tfopt.records.check import CheckRecord
from tfopt.workload.options import Options
from tfopt.workload.workers.contestant import Contestant

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras, while saving

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
CONFIG = """
[check]
only = ["budgets", "accuracy"]
baseline = "old.keras"
data = "data.npz"
max_time = 280
[check.budgets]
max_params_increase = 0.0
[check.accuracy]
max_accuracy_drop = 0.03
[[check.models]]
model = "pruned.keras"
[check.models.budgets]
min_sparsity = 0.01
[[check.models]]
model = "wider.keras"
[[check.models]]
model = "missing.keras"
"""


def _classifier(units: int, seed: int) -> Any:
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    hidden, out = layers.Dense(units, "relu", name="hidden"), layers.Dense(3, name="out")
    model = keras.Sequential([keras.Input((8,)), hidden, out])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Models, and a lock that has the narrow one accepted in the wide one's place."""
    old = _classifier(16, seed=0)
    x = np.random.default_rng(0).normal(size=(600, 8)).astype("float32")
    np.savez(tmp_path / "data.npz", x=x, y=old(x).numpy().argmax(-1))
    old.save(tmp_path / "old.keras")
    kernel = old.layers[0].kernel
    kernel.assign(np.where(np.abs(kernel.numpy()) < 0.02, 0, kernel.numpy()))
    old.save(tmp_path / "pruned.keras")
    _classifier(24, seed=1).save(tmp_path / "wider.keras")
    contestant = Contestant("wider.keras", str(tmp_path / "old.keras"), Options())
    accepted = model_facts(contestant, ("params",), lambda phase: None)
    write_lock(tmp_path / "tfopt.lock.json", updated(None, {"wider.keras": accepted}, environment()))
    (tmp_path / "check.toml").write_text(CONFIG)
    return tmp_path


def test_several_models_each_with_its_verdicts(folder: Path) -> None:
    command = [sys.executable, "-m", "tfopt", "check", "--config", "check.toml", "--format", "json"]
    done = subprocess.run(command, cwd=folder, capture_output=True, timeout=280, env=ENVIRONMENT, check=False)
    record = msgspec.json.decode(done.stdout, type=CheckRecord)
    pruned, wider, missing = ({gate.name: gate for gate in model.gates} for model in record.models)
    assert [model.exit_code for model in record.models] == [0, 1, 3]
    assert (done.returncode, record.exit_code, record.run.updated) == (3, 3, False)

    found = {name: gate.verdict for name, gate in pruned.items()}
    assert found == {"max_params_increase": "PASS", "min_sparsity": "PASS", "max_accuracy_drop": "PASS"}
    assert pruned["min_sparsity"].value == pytest.approx(_zeros(record), abs=1e-9)
    assert "over 600 samples" in pruned["max_accuracy_drop"].message

    lost = wider["max_accuracy_drop"]
    assert lost.verdict == "FAIL"
    assert lost.value is not None
    assert lost.value > 0.2
    assert lost.look_closer == "tfopt compare old.keras --data data.npz wider.keras"

    grown = wider["max_params_increase"]
    assert (grown.verdict, grown.reference, grown.value) == ("FAIL", 8 * 16 + 16 + 51, 8 * 24 + 24 + 75)
    changes = {layer.path.rpartition("/")[2]: (layer.before, layer.after) for layer in grown.layers}
    assert changes == {"hidden": (144, 216), "out": (51, 75)}

    assert {gate.verdict for gate in missing.values()} == {"ERROR"}
    assert record.models[2].failure.startswith("no such file: missing.keras")


def _zeros(record: CheckRecord) -> float:
    facts = record.models[0].facts
    assert facts is not None
    hidden = next(layer for layer in facts.layers if layer.path.endswith("hidden"))
    assert 0 < hidden.values["sparsity"] < 0.2
    return hidden.values["sparsity"] * 128 / (128 + 48)
