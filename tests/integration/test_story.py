"""One story from the first profile to a failed check, told by the command line: the one that README.md tells.

A small network learns digits; it is profiled, run in another way, looked into, pruned, and checked against what it was:
that passes. Then somebody makes a layer wider: that does not.
"""

from __future__ import annotations

import shlex
from pathlib import Path

import keras
import msgspec
import numpy as np
import pytest
from keras import layers
from sklearn.datasets import load_digits

from tfopt.__main__ import main
from tfopt.records.base import Record
from tfopt.report.opening import open_target

CONFIG = """
[check]
baseline = "digits.keras"
max_time = "4m"

[check.budgets]
max_params_increase = 0.0

[[check.models]]
model = "digits-pruned.keras"
data = "valid.npz"

[check.models.budgets]
min_sparsity = 0.75

[check.models.accuracy]
max_accuracy_drop = 0.03
"""
HELD_OUT = 450


def network(filters: int) -> keras.Model:
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(16, 3, padding="same", activation="relu", name="early"),
            layers.Conv2D(filters, 3, padding="same", activation="relu", name="late"),
            layers.MaxPooling2D(name="pool"),
            layers.Flatten(name="flat"),
            layers.Dense(32, activation="relu", name="hidden"),
            layers.Dense(10, activation="softmax", name="digit"),
        ],
        name="digits",
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    found = load_digits()
    order = np.random.default_rng(0).permutation(len(found.target))
    x, y = (found.images[order, ..., None] / 16).astype("float32"), found.target[order].astype("int32")
    np.savez("valid.npz", x=x[:HELD_OUT], y=y[:HELD_OUT])
    np.savez("train.npz", x=x[HELD_OUT:], y=y[HELD_OUT:])
    model = network(32)
    model.fit(x[HELD_OUT:], y[HELD_OUT:], epochs=6, verbose=0)
    model.save("digits.keras")
    network(512).save("wide.keras")
    Path("check.toml").write_text(CONFIG)
    return tmp_path


def tell(line: str) -> tuple[int, Record]:
    """The exit code of a command and the record that it wrote."""
    verb = line.split()[0]
    code = main([*shlex.split(line), "--quiet", "--force", "-o", f"{verb}.json"])
    return code, open_target(f"{verb}.json").record


@pytest.mark.timeout(900)
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras, saving
@pytest.mark.usefixtures("folder")
def test_from_the_first_profile_to_a_failed_check() -> None:
    code, profile = tell("profile digits.keras --no-save --no-influence")
    costliest = max((row for row in profile.layers if row.path.startswith("digits/")), key=lambda row: row.share)
    assert (code, costliest.path) == (0, "digits/late")

    code, comparison = tell(
        "compare digits.keras --variants graph,eager --mode infer --no-drift --processes 2 --max-time 120"
    )
    eager = next(arm for arm in comparison.arms if arm.label == "eager")
    assert code == 0
    assert eager.result.wall.ratio > 1.5, "op by op a small network takes longer"

    code, influence = tell("influence digits.keras --strict")
    assert (code, influence.paths.consistent) == (0, True)

    pruning = "--sparsity 0.8 --data train.npz --eval-data valid.npz --finetune 3 --no-latency"
    code, _ = tell(f"prune digits.keras {pruning}")
    assert code == 0

    code, checked = tell("check --config check.toml --only budgets,accuracy")
    (model,) = checked.models
    verdicts = {gate.name: gate.verdict for gate in model.gates}
    assert (code, model.label) == (0, "digits-pruned.keras")
    assert verdicts["max_params_increase"] == verdicts["min_sparsity"] == "PASS"
    assert verdicts["max_accuracy_drop"] in ("PASS", "IMPROVED")

    code, checked = tell("check wide.keras --config check.toml --only budgets,timing --mode infer")
    (model,) = checked.models
    gates = {gate.name: gate for gate in model.gates}
    assert code == 1
    assert gates["max_params_increase"].verdict == gates["tolerance"].verdict == "FAIL", msgspec.to_builtins(gates)
    assert gates["tolerance"].value > 1.5
    assert [change.path for change in gates["max_params_increase"].layers] == ["digits/hidden", "digits/late"]
    slow = gates["tolerance"]
    assert (slow.layers[0].path, slow.layers_fact) == ("digits/late", "step_flops")
