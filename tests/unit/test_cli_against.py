"""`tfopt report RUN --against BASELINE`: which runs are taken, and what is said where one cannot be."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from cli_for_tests import ROOT, Here, clean_environment
from records_for_tests import DIFFERENCES, flat, hostile, nested
from traces_for_tests import gpu

from tfopt import diff
from tfopt.records.profile import ProfileRecord
from tfopt.report import render
from tfopt.report.runs import create_run, write_record
from tfopt.report.view import View


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Here:
    return Here(tmp_path, monkeypatch, capfd)


def runs(*records: ProfileRecord) -> list[str]:
    """A run folder for each record, the last the latest."""
    folders = []
    for at, record in enumerate(records):
        folders.append(str(create_run("runs", "m")))
        os.utime(write_record(folders[-1], record), (at, at))
    return folders


@pytest.mark.parametrize("format", ["table", "json", "csv", "md"])
@pytest.mark.parametrize("by", ["layer", "op", "type", "phase"])
def test_a_difference_is_shown_in_every_format_and_by_every_row(here: Here, format: str, by: str) -> None:
    old, new = runs(flat(), hostile())
    said = here("report", new, "--against", old, "--format", format, "--by", by)  # type: ignore[arg-type]
    assert said.code == 0
    assert said.out == render(diff(hostile(), flat(), new, old), View(by=by), format)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", DIFFERENCES)
def test_json_follows_the_published_schema(name: str) -> None:
    schema = json.loads((ROOT / "docs" / "schema" / "difference.schema.json").read_text())
    jsonschema.validate(json.loads(render(DIFFERENCES[name](), format="json")), schema)


@pytest.mark.parametrize("format", ["table", "json"])
def test_a_kept_difference_can_be_shown_again(here: Here, format: str) -> None:
    old, new = runs(flat(), nested())
    said = here("report", new, "--against", old, "-o", "difference.json", "--format", format)
    assert here("report", "difference.json", "--format", format).out == said.out


def test_a_difference_is_no_baseline(here: Here) -> None:
    old, new = runs(flat(), nested())
    here("report", new, "--against", old, "-q", "-o", "difference.json")
    said = here("report", new, "--against", "difference.json")
    assert said.code == 2
    assert said.err.startswith(f"error: cannot compare {new} with difference.json: they are not two profiles")


def test_a_trace_has_no_profile_for_a_baseline(here: Here) -> None:
    (only,) = runs(flat())
    Path("t.xplane.pb").write_bytes(gpu())
    assert here("report", "t.xplane.pb", "--against", "runs").code == 2
    assert here("report", only, "--against", "t.xplane.pb").err.startswith("error: cannot compare")


def test_of_a_folder_of_runs_the_baseline_is_the_latest_other_one(here: Here) -> None:
    old, middle, new = runs(flat(), nested(), hostile())
    said = here("report", "--against", "runs", "--verbose")
    assert said.err.startswith(f"showing {new}/record.json against {middle}/record.json\n")
    assert json.loads(here("report", middle, "--against", "runs", "--format", "json").out)["before"]["run"] == new
    assert json.loads(here("report", old, "--against", "runs", "--format", "json").out)["before"]["run"] == new


def test_the_last_run_of_a_folder_has_no_other(here: Here) -> None:
    runs(flat())
    said = here("report", "--against", "runs")
    assert (said.code, said.out) == (3, "")
    assert said.err == "error: the baseline: no other run in runs\nhelp:  tfopt profile MODEL records one\n"


def test_a_recording_against_itself_is_called_that(here: Here) -> None:
    (only,) = runs(flat())
    said = here("report", only, "--against", f"{only}/record.json")
    assert said.code == 0
    assert "the same recording on both sides" in said.out
    assert "slower" not in said.out
    assert "faster" not in said.out


@pytest.mark.parametrize(
    ("args", "which"),
    [
        (("runs", "--against", "nowhere"), "the baseline: nowhere does not exist"),
        (("nowhere", "--against", "runs"), "the run: nowhere does not exist"),
        (("runs", "--against", "broken.json"), "the baseline: broken.json is cut off"),
        (("broken.json", "--against", "runs"), "the run: broken.json is cut off"),
    ],
)
def test_an_error_says_which_side_is_bad(here: Here, args: tuple[str, ...], which: str) -> None:
    (only,) = runs(flat())
    Path("broken.json").write_bytes(Path(only, "record.json").read_bytes()[:5000])
    said = here("report", *args)
    assert (said.code, said.out) == (3, "")
    assert said.err.startswith(f"error: {which}")
    assert len(said.err.splitlines()) == 2


def test_rows_that_no_profile_has_are_wrong_usage(here: Here) -> None:
    old, new = runs(flat(), nested())
    said = here("report", new, "--against", old, "--by", "kernel")
    assert said.code == 2
    assert said.err.startswith("error: a run of tfopt has no rows by kernel")


def test_no_tensorflow_is_loaded(tmp_path: Path) -> None:
    code = "import sys; from tfopt.cli.main import main; main(sys.argv[1:]); print('tensorflow' in sys.modules)"
    for name, record in (("a", flat()), ("b", nested())):
        (tmp_path / name).mkdir()
        write_record(tmp_path / name, record)
    done = subprocess.run(
        [sys.executable, "-c", code, "report", "a", "--against", "b"],
        cwd=tmp_path,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "False"
