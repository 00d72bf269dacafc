"""`tfopt profile`: what it asks the library for, and where the answer goes."""

from __future__ import annotations

import errno
import inspect
import json
import os
from pathlib import Path

import pytest
from cli_for_tests import Here
from records_for_tests import flat

from tfopt.errors import RunFailed
from tfopt.report.units import size


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Here:
    return Here(tmp_path, monkeypatch, capfd)


def test_options_are_the_library_s_keywords(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from tfopt.profiling.profile import profile

    known = inspect.signature(profile).parameters
    here = Here(tmp_path, monkeypatch, capfd)
    here("profile", "m.keras")
    assert set(here.asked) == set(known)
    for name in set(known) - {"model", "run_dir", "command", "progress"}:
        assert here.asked[name] == known[name].default, name


def test_every_option_arrives(here: Here) -> None:
    said = here(
        *("profile", "m.h5", "--mode", "infer", "--batch-size", "8", "--input-shape", "a=3,4", "--input-shape", "5"),
        *("--input-size", "96", "--data", "x.npz", "--loss", "mse", "--optimizer", "sgd"),
        *("--precision", "mixed_float16", "--xla", "--eager", "--device", "gpu:1", "--seed", "3", "--threads", "2"),
        *("--steps", "9", "--trace-steps", "4", "--import", "a.b", "--unsafe", "--run-dir", "elsewhere"),
        *("--recalibrate", "--no-influence"),
    )  # fmt: skip
    assert said.code == 0
    asked = dict(here.asked)
    assert callable(asked.pop("progress"))
    assert asked == {
        "model": "m.h5",
        "mode": "infer",
        "batch_size": 8,
        "input_shape": ("a=3,4", "5"),
        "input_size": 96,
        "data": "x.npz",
        "loss": "mse",
        "optimizer": "sgd",
        "precision": "mixed_float16",
        "xla": True,
        "eager": True,
        "device": "gpu:1",
        "seed": 3,
        "threads": 2,
        "steps": 9,
        "trace_steps": 4,
        "imports": ("a.b",),
        "unsafe": True,
        "run_dir": "elsewhere",
        "recalibrate": True,
        "influence": False,
        "command": "tfopt profile m.h5 --mode infer --batch-size 8 --input-shape a=3,4 --input-shape 5 --input-size 96 "
        "--data x.npz --loss mse --optimizer sgd --precision mixed_float16 --xla --eager --device gpu:1 --seed 3 "
        "--threads 2 --steps 9 --trace-steps 4 --import a.b --unsafe --run-dir elsewhere --recalibrate --no-influence",
    }


def test_the_command_line_is_kept_so_that_a_shell_reads_it(here: Here) -> None:
    here("profile", "my model.keras", "--no-save")
    assert here.asked["command"] == "tfopt profile 'my model.keras' --no-save"
    assert here.asked["run_dir"] is None


def test_the_answer_goes_to_standard_output_and_names_the_run(here: Here) -> None:
    said = here("profile", "mobilenet.keras")
    (folder,) = os.listdir("runs")
    assert said.err == ""
    assert "143 ms / step" in said.out
    assert f"saved  runs/{folder}" in said.out
    assert f"tfopt tensorboard runs/{folder}" in said.out
    assert f"tensorboard --logdir runs/{folder}" in said.out


def test_files_are_written_beside_the_table(here: Here) -> None:
    said = here("profile", "m", "-o", "a.json", "-o", "b.csv", "-o", "c.md", "-o", "d.txt")
    assert "143 ms / step" in said.out
    sizes = {name: size(Path(name).stat().st_size) for name in ("a.json", "b.csv", "c.md", "d.txt")}
    assert said.err.splitlines() == [f"wrote {name} ({bytes})" for name, bytes in sizes.items()]
    assert json.loads(Path("a.json").read_text())["schema"] == "tfopt.profile/1"
    assert Path("b.csv").read_text().startswith("path,type,depth")
    assert Path("c.md").read_text().startswith("# mobilenet")
    assert "143 ms / step" in Path("d.txt").read_text()


def test_quiet_leaves_the_result_alone_or_to_the_files(here: Here) -> None:
    said = here("profile", "m", "--quiet")
    assert ("143 ms / step" in said.out, said.err) == (True, "")
    said = here("profile", "m", "--quiet", "-o", "a.json")
    assert (said.out, said.err) == ("", "")
    assert Path("a.json").exists()


def test_verbose_says_what_is_done(here: Here) -> None:
    assert here("profile", "m", "--verbose").err == "measuring\n"


def test_data_on_standard_output_is_nothing_but_data(here: Here) -> None:
    said = here("profile", "m", "--format", "json", "--verbose")
    assert json.loads(said.out)["schema"] == "tfopt.profile/1"
    said = here("profile", "m", "--format", "csv")
    assert said.out.startswith("path,type,depth")
    note = flat().notes[0]
    assert said.err == f"note: {note.message} ({note.hint})\n"  # CSV has no place for it


def test_an_existing_file_stops_the_command_before_the_work(here: Here) -> None:
    Path("a.json").write_text("precious")
    said = here("profile", "m", "-o", "a.json")
    assert said.code == 2
    assert said.err == "error: a.json exists\nhelp:  add --force to overwrite it, or choose another name\n"
    assert Path("a.json").read_text() == "precious"
    assert not here.profile.calls
    assert here("profile", "m", "-o", "a.json", "--force").code == 0
    assert Path("a.json").read_text().startswith("{")


def test_a_file_that_cannot_be_written_does_not_cost_the_answer(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.link", full)
    monkeypatch.setattr("os.replace", full)
    said = here("profile", "m", "-o", "a.json", "--no-save")
    assert said.code == 4
    assert "143 ms / step" in said.out
    assert said.err.splitlines()[0] == "error: cannot write a.json: No space left on device"
    assert os.listdir(".") == []


def test_a_failed_run_writes_nothing(here: Here) -> None:
    here.profile.error = RunFailed("out of memory on GPU:0", "try a smaller --batch-size")
    said = here("profile", "m", "-o", "a.json")
    assert (said.code, said.out) == (4, "")
    assert os.listdir(".") == []


def test_views_shape_the_table(here: Here) -> None:
    assert "Op types" in here("profile", "m", "--by", "type").out
    assert "└─ 58 more" in here("profile", "m", "--top", "3").out
    assert "block_1_expand" not in here("profile", "m", "--depth", "0").out.partition("Bottleneck")[0]
    assert " more" not in here("profile", "m", "--top", "0").out.partition("Bottleneck")[0]
