"""`tfopt report`: a run again, in any format."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cli_for_tests import Here, clean_environment
from records_for_tests import flat, hostile, nested

from tfopt.report import render
from tfopt.report.runs import create_run, write_record
from tfopt.report.view import View


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Here:
    return Here(tmp_path, monkeypatch, capfd)


@pytest.mark.parametrize("format", ["table", "json", "csv", "md", "speedscope"])
def test_a_run_is_shown_in_every_format(here: Here, format: str) -> None:
    folder = create_run("runs", "m")
    write_record(folder, hostile())
    said = here("report", str(folder), "--format", format, "--by", "op", "--top", "3")
    assert said.code == 0
    assert said.out == render(hostile(), View(by="op", top=3, run_dir=str(folder)), format)


def test_without_a_name_the_latest_run_is_shown(here: Here) -> None:
    for at, record in enumerate((flat(), nested())):
        os.utime(write_record(create_run("runs", "m"), record), (at, at))
    said = here("report", "--verbose")
    assert "app:Captioner" in said.out
    assert said.err.startswith("showing runs/m-")


def test_without_any_run_the_hint_says_how_to_make_one(here: Here) -> None:
    said = here("report")
    assert (said.code, said.out) == (3, "")
    assert said.err == "error: runs does not exist\nhelp:  tfopt profile MODEL records a run under runs/\n"


def test_a_half_written_record_is_unreadable_input(here: Here) -> None:
    folder = create_run("runs", "m")
    file = write_record(folder, flat())
    file.write_bytes(file.read_bytes()[:5000])
    said = here("report", str(folder))
    assert said.code == 3
    assert "is cut off" in said.err.splitlines()[0]


def test_a_record_on_its_own_is_enough(here: Here) -> None:
    write_record(Path(), flat())
    os.rename("record.json", "mine.json")
    said = here("report", "mine.json", "-q", "-o", "again.json")
    assert (said.code, said.out, said.err) == (0, "", "")
    assert Path("again.json").read_bytes() == Path("mine.json").read_bytes()


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("no_color", ["", "1"])
def test_a_terminal_gets_its_width_and_colours_unless_told_not_to(tmp_path: Path, columns: int, no_color: str) -> None:
    pty = pytest.importorskip("pty")
    termios = pytest.importorskip("termios")
    write_record(tmp_path, flat())
    outer, inner = pty.openpty()
    termios.tcsetwinsize(inner, (40, columns))
    child = subprocess.Popen(
        [sys.executable, "-m", "tfopt", "report", "."],
        cwd=tmp_path,
        env=clean_environment(TERM="xterm", NO_COLOR=no_color),
        stdin=inner,
        stdout=inner,
        stderr=subprocess.DEVNULL,
    )
    os.close(inner)
    written = b""
    while True:
        try:
            written += os.read(outer, 65536)
        except OSError:  # the other end is closed
            break
    os.close(outer)
    assert child.wait() == 0
    expected = render(flat(), View(width=columns, color=not no_color, run_dir="."))
    assert written.decode().replace("\r\n", "\n") == expected


def test_json_from_the_process_is_utf_8_everywhere(tmp_path: Path) -> None:
    write_record(tmp_path, hostile())
    done = subprocess.run(
        [sys.executable, "-m", "tfopt", "report", ".", "--format", "json"],
        cwd=tmp_path,
        env=clean_environment(PYTHONIOENCODING="ascii", PYTHONUTF8="0"),
        capture_output=True,
        check=True,
    )
    assert "卷积层" in json.dumps(json.loads(done.stdout.decode("utf-8")), ensure_ascii=False)
