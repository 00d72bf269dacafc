"""Every verb on files that strangers saved: the usable ones in all modes, the others with the error they deserve."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.integration.test_profile import assert_adds_up
from tfopt.cli.main import main
from tfopt.report.runs import read_run

USABLE = (
    "devanagari_cnn.keras",
    "sudoku_cnn_logits.keras",
    "melody_lstm.keras",
    "recommender_five_inputs.keras",
    "driving_two_inputs.keras",
    "driving_two_inputs.h5",
    "ecg_unet1d_nested.keras",
    "sentiment_hdf5_named_keras.keras",
)
UNUSABLE = {
    "mario_hdf5_named_keras.keras": r"HDF5",
    "style_transfer_keras2.keras": r"Keras 2\.13\.1",
    "recommender_custom_class.keras": r"RecommenderNet",
    "captioning_git_lfs_pointer.keras": r"Git LFS pointer.*254\.8 MB",
    "pickled_weights.keras": r"pickle",
}
HINTS = {
    "recommender_custom_class.keras": "--import",
    "captioning_git_lfs_pointer.keras": "git lfs pull",
}
QUICK = ("--no-influence", "--steps", "1", "--trace-steps", "1", "--quiet")


# Each in both modes and both programs, a loop in every combination; influence knows of modes, not of programs.
EVERY_WAY = ("melody_lstm.keras",)
WAYS = [
    (name, mode, xla)
    for name in USABLE
    for mode, xla in (("train", "--no-xla"), ("infer", "--xla"), ("train", "--xla"), ("infer", "--no-xla"))
    if name in EVERY_WAY or (mode, xla) in (("train", "--no-xla"), ("infer", "--xla"))
]


@pytest.mark.parametrize(("name", "mode", "xla"), WAYS)
def test_usable(name: str, mode: str, xla: str, real_models: Path, tmp_path: Path) -> None:
    options = ["--mode", mode, xla, "--batch-size", "4", "--steps", "2", "--trace-steps", "2", "--quiet"]
    if xla == "--xla":
        options.append("--no-influence")
    assert main(["profile", str(real_models / name), *options, "--run-dir", str(tmp_path)]) == 0
    record = read_run(tmp_path).record
    assert_adds_up(record)
    assert record.coverage.attributed >= (0.99 if xla == "--xla" else 0.94)
    assert record.run.mode == mode
    assert (record.influence is None) == ("--no-influence" in options)


@pytest.mark.parametrize("name", UNUSABLE)
def test_unusable(name: str, real_models: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = (real_models / name).stat().st_mtime_ns
    assert main(["profile", str(real_models / name), "--run-dir", str(tmp_path / "runs")]) == 3
    out, err = capfd.readouterr()
    lines = err.splitlines()
    assert out == ""
    assert len(lines) == 2, err
    assert lines[0].startswith("error: ")
    assert lines[1].startswith("help:  ")
    assert re.search(UNUSABLE[name], lines[0])
    assert HINTS.get(name, "") in lines[1]
    assert max(map(len, lines)) < 300
    assert not (tmp_path / "runs").exists()
    assert (real_models / name).stat().st_mtime_ns == before


def test_integers_are_drawn_inside_each_vocabulary(real_models: Path, tmp_path: Path) -> None:
    out = tmp_path / "record.json"
    model = str(real_models / "recommender_five_inputs.keras")
    assert main(["profile", model, *QUICK, "--no-save", "-o", str(out)]) == 0
    values = {found["name"]: found["values"] for found in json.loads(out.read_text())["run"]["inputs"]}
    assert values == {
        "users": "integers below 1000",
        "products": "integers below 997",
        "gender": "integers below 3",
        "location": "integers below 16",
        "age": "standard normal",
    }


def test_free_sequence_length_is_said(real_models: Path, tmp_path: Path) -> None:
    model = str(real_models / "melody_lstm.keras")
    common = [*QUICK, "--run-dir", str(tmp_path)]
    assert main(["profile", model, *common]) == 0
    record = read_run(tmp_path).record
    assert record.run.inputs[0].shape == (32, 32, 41)
    assert any("(?, 41) → (32, 41)" in note.message for note in record.notes)
    assert main(["profile", model, *common, "--input-shape", "7,41"]) == 0
    assert read_run(tmp_path).record.run.inputs[0].shape == (32, 7, 41)


def test_compile_state_that_cannot_be_read_is_a_warning(real_models: Path, tmp_path: Path) -> None:
    for name in ("driving_two_inputs.h5", "sentiment_hdf5_named_keras.keras"):
        common = [*QUICK, "--run-dir", str(tmp_path / name)]
        assert main(["profile", str(real_models / name), *common]) == 0
        notes = [note.message for note in read_run(tmp_path / name).record.notes]
        assert any("without its compile state" in note for note in notes)
        assert any("since its output is" in note for note in notes)
