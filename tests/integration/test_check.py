"""`tfopt check` on real models: a metric on data, a file that is not there, and a lock that tells which layers grew."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tfopt.records.check import CheckRecord, Gate

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
SAVE = """
import sys, keras, numpy as np
from keras import layers
from tfopt.workload.runtime import import_tensorflow
import_tensorflow()
def classifier(units):
    keras.utils.clear_session()
    keras.utils.set_random_seed(0)
    hidden, out = layers.Dense(units, "relu", name="hidden"), layers.Dense(3, name="out")
    model = keras.Sequential([keras.Input((8,)), hidden, out])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model
old = classifier(16)
x = np.random.default_rng(0).normal(size=(600, 8)).astype("float32")
np.savez("data.npz", x=x, y=old.predict(x, verbose=0).argmax(-1))
old.save("old.keras")
kernel = old.layers[0].kernel
kernel.assign(np.where(np.abs(kernel) < 0.02, 0, kernel))
old.save("pruned.keras")
kernel.assign(-kernel)
old.save("broken.keras")
classifier(24).save("wider.keras")
"""
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
model = "broken.keras"
[[check.models]]
model = "missing.keras"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("check")
    subprocess.run([sys.executable, "-c", SAVE], cwd=place, check=True, capture_output=True, env=ENVIRONMENT)
    (place / "check.toml").write_text(CONFIG)
    return place


@pytest.fixture(scope="module")
def tfopt_check(folder: Path) -> Callable[..., tuple[int, CheckRecord]]:
    def run(*args: str) -> tuple[int, CheckRecord]:
        command = [sys.executable, "-m", "tfopt", "check", *args, "--format", "json"]
        done = subprocess.run(command, cwd=folder, capture_output=True, timeout=280, env=ENVIRONMENT, check=False)
        return done.returncode, msgspec.json.decode(done.stdout, type=CheckRecord)

    return run


def test_several_models_each_with_its_verdicts_and_then_the_lock_of_them(tfopt_check: Any, folder: Path) -> None:
    code, record = tfopt_check("--config", "check.toml", "--update")
    pruned, broken, missing = ({gate.name: gate for gate in model.gates} for model in record.models)
    assert [model.exit_code for model in record.models] == [0, 1, 3]
    assert (code, record.exit_code, record.run.updated) == (3, 3, True)

    found = {name: gate.verdict for name, gate in pruned.items()}
    assert found == {"max_params_increase": "NEW", "min_sparsity": "PASS", "max_accuracy_drop": "PASS"}
    assert pruned["min_sparsity"].value == pytest.approx(_zeros(record), abs=1e-9)
    assert "over 592 samples" in pruned["max_accuracy_drop"].message

    lost: Gate = broken["max_accuracy_drop"]
    assert lost.verdict == "FAIL"
    assert lost.value is not None
    assert lost.value > 0.2
    assert lost.look_closer == "tfopt compare old.keras --data data.npz broken.keras"

    assert {gate.verdict for gate in missing.values()} == {"ERROR"}
    assert record.models[2].failure.startswith("no such file: missing.keras")

    (folder / "wider.keras").replace(folder / "pruned.keras")
    code, record = tfopt_check("pruned.keras", "--only", "budgets", "--data", "data.npz")
    gates = {gate.fact: gate for gate in record.models[0].gates}
    assert code == 1
    assert {"params", "step_flops", "forward_flops", "sparsity"} <= {
        fact for fact, gate in gates.items() if gate.verdict == "FAIL"
    }
    grown = gates["params"]
    assert (grown.reference, grown.value) == (8 * 16 + 16 + 51, 8 * 24 + 24 + 75)
    changes = {layer.path.rpartition("/")[2]: (layer.before, layer.after) for layer in grown.layers}
    assert changes == {"hidden": (144, 216), "out": (51, 75)}


def _zeros(record: CheckRecord) -> float:
    facts = record.models[0].facts
    assert facts is not None
    hidden = next(layer for layer in facts.layers if layer.path.endswith("hidden"))
    assert 0 < hidden.values["sparsity"] < 0.2
    return hidden.values["sparsity"] * 128 / (128 + 48)
