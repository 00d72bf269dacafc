"""`tfopt doctor`: what it asks the library for, how its record looks, and what the exit code says."""

from __future__ import annotations

import inspect
import json
from pathlib import Path

import click
import jsonschema
import pytest
from cli_for_tests import Here
from records_for_tests import diagnosis

from tfopt.cli.doctor import command
from tfopt.diagnosis import diagnose
from tfopt.records.diagnosis import DiagnosisRecord
from tfopt.records.schema import schema_text
from tfopt.report.progress import silent


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Here:
    return Here(tmp_path, monkeypatch, capfd)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    """What the library was asked for; it finds one problem here and none in runs."""
    calls: list[dict[str, object]] = []

    def pretender(*args: object, **options: object) -> DiagnosisRecord:
        calls.append(inspect.signature(diagnose_doctor).bind(*args, **options).arguments)
        return diagnosis(sound=bool(args[0]))

    diagnose_doctor = diagnose.doctor
    monkeypatch.setattr(diagnose, "doctor", pretender)
    return calls


def test_options_are_the_library_s_keywords() -> None:
    known = inspect.signature(diagnose.doctor).parameters
    assert [name for name in known if name != "progress"] == [
        one.name for one in command.params if isinstance(one, click.Argument)
    ]
    assert known["runs"].default is None
    assert known["progress"].default is silent


def test_the_exit_code_says_whether_there_is_a_problem(here: Here, asked: list[dict[str, object]]) -> None:
    said = here("doctor")
    assert said.code == 1
    assert said.out.splitlines()[2].split("   ")[0].strip() == "1 problem"
    assert asked[-1]["runs"] is None
    said = here("doctor", "logs")
    assert said.code == 0
    assert "everything is in order" in said.out
    assert asked[-1]["runs"] == "logs"


def test_files_are_written_also_where_there_is_a_problem(here: Here, asked: list[dict[str, object]]) -> None:
    said = here("doctor", "-q", "-o", "d.json", "-o", "d.csv", "-o", "d.md", "-o", "d.txt")
    assert (said.code, said.out, said.err) == (1, "", "")
    stored = json.loads((here.folder / "d.json").read_text())
    jsonschema.validate(stored, json.loads(schema_text(DiagnosisRecord)))
    assert len((here.folder / "d.csv").read_text().splitlines()) == 1 + len(stored["findings"])
    again = here("report", "d.json")
    assert (again.code, again.out) == (0, (here.folder / "d.txt").read_text())


def test_what_cannot_be_read_is_exit_code_3(here: Here) -> None:
    said = here("doctor", "nowhere")
    assert (said.code, said.out) == (3, "")
    assert said.err.startswith("error: nowhere does not exist\nhelp:  ")


def test_formats_for_profiles_are_refused(here: Here, asked: list[dict[str, object]]) -> None:
    for wish in (["--format", "speedscope"], ["-o", "x.chrome.json"]):
        said = here("doctor", "logs", *wish)
        assert (said.code, said.out, asked) == (2, "", [])
        assert "shows profiled runs only" in said.err
