"""Files are written whole or not at all, and never over one another unasked."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from tfopt.errors import RunFailed, UsageError
from tfopt.report.files import check_target, move_file, write_file


def test_a_new_file_is_written_with_ordinary_permissions(tmp_path: Path) -> None:
    write_file(tmp_path / "a.json", b"{}")
    plain = tmp_path / "plain"
    plain.touch()
    assert (tmp_path / "a.json").read_bytes() == b"{}"
    assert (tmp_path / "a.json").stat().st_mode == plain.stat().st_mode
    assert sorted(os.listdir(tmp_path)) == ["a.json", "plain"]


def test_an_existing_file_is_kept_unless_forced(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text("old")
    with pytest.raises(UsageError, match="exists"):
        write_file(file, b"new")
    assert file.read_text() == "old"
    write_file(file, b"new", force=True)
    assert file.read_text() == "new"
    assert os.listdir(tmp_path) == ["a.json"]


def test_a_file_that_appears_in_the_meantime_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.json"
    monkeypatch.setattr("tfopt.report.files.check_target", lambda path, force: file.write_text("theirs"))
    with pytest.raises(UsageError, match="exists"):
        write_file(file, b"ours")
    assert file.read_text() == "theirs"
    assert os.listdir(tmp_path) == ["a.json"]


def test_a_link_is_written_through(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link.json").symlink_to(tmp_path / "real" / "a.json")
    write_file(tmp_path / "link.json", b"1")
    write_file(tmp_path / "link.json", b"2", force=True)
    assert (tmp_path / "link.json").is_symlink()
    assert (tmp_path / "real" / "a.json").read_bytes() == b"2"


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.json"
    file.write_text("old")
    write = Path.write_bytes

    def half(path: Path, content: bytes) -> int:
        write(path, content[:1])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises(RunFailed, match=r"cannot write .*a\.json: No space left on device"):
        write_file(file, b"new", force=True)
    assert file.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.json"]


def test_without_hard_links_the_file_is_still_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*paths: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    write_file(tmp_path / "a.json", b"x")
    assert os.listdir(tmp_path) == ["a.json"]


def test_an_interruption_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*paths: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "link", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_file(tmp_path / "a.json", b"x")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no/a.json", "the folder .*no does not exist"),
        (".", "is a folder"),
        ("f/a", "not exist"),
        ("x" * 300, "File name too long"),
    ],
)
def test_impossible_targets_are_found_before_the_work(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "f").write_text("a file")
    with pytest.raises(UsageError, match=message):
        check_target(tmp_path / name)


def test_a_finished_file_gets_its_name_and_replaces_nothing_unasked(tmp_path: Path) -> None:
    made, place = tmp_path / "made", tmp_path / "place"
    made.write_bytes(b"new")
    place.write_bytes(b"old")
    with pytest.raises(UsageError, match="exists"):
        move_file(made, place)
    assert (made.read_bytes(), place.read_bytes()) == (b"new", b"old")
    move_file(made, place, force=True)
    assert (made.exists(), place.read_bytes()) == (False, b"new")
