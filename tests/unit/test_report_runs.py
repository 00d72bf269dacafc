"""Run folders: made without collision, found again, and read with care."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import pytest
from records_for_tests import flat, hostile

from tfopt.errors import InputError, RunFailed, UsageError
from tfopt.report.runs import check_trace, create_run, finish_run, read_run, unfinished_run, write_record

NOW = datetime(2026, 11, 20, 9, 31, 7)


def test_runs_of_one_second_do_not_collide(tmp_path: Path) -> None:
    made = [create_run(tmp_path / "runs", "models/mobilenet.keras", NOW).name for _ in range(3)]
    assert made == [f"mobilenet-20261120-093107{end}" for end in ("", "-2", "-3")]


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("app:MobileNetV2", "MobileNetV2"),
        ("../../etc/pass wd\x1b[2J.h5", "pass-wd-2J"),
        ("...", "model"),
        ("mobilenetv2_1.00_96", "mobilenetv2_1.00_96"),
        ("-rf.keras", "rf"),
        ("卷积.keras", "model"),
        ("x" * 300 + ".keras", "x" * 60),
        ("saved_model/", "saved_model"),
    ],
)
def test_folder_names_are_harmless(tmp_path: Path, model: str, name: str) -> None:
    folder = create_run(tmp_path, model, NOW)
    assert folder.name == f"{name}-20261120-093107"
    assert folder.parent == tmp_path


def test_a_place_that_cannot_hold_runs_is_said(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(UsageError, match="cannot create a run folder"):
        create_run(tmp_path / "runs", "m", NOW)


@pytest.mark.parametrize("record", [flat(), hostile()])
def test_a_record_comes_back(tmp_path: Path, record: object) -> None:
    folder = create_run(tmp_path, "m", NOW)
    file = write_record(folder, record)  # type: ignore[arg-type]
    assert os.listdir(folder) == ["record.json"]
    found = read_run(folder)
    assert (found.record, found.folder, found.file) == (record, str(folder), file)


def test_the_latest_of_several_runs_is_taken(tmp_path: Path) -> None:
    for second, record in enumerate((hostile(), flat())):
        folder = create_run(tmp_path, "m", NOW.replace(second=second))
        os.utime(write_record(folder, record), (100 + second, 100 + second))
    (tmp_path / "unfinished").mkdir()
    (tmp_path / "notes.txt").touch()
    found = read_run(tmp_path)
    assert found.record == flat()
    assert found.folder == str(tmp_path / "m-20261120-093101")


def test_a_run_has_its_name_when_it_is_whole(tmp_path: Path) -> None:
    root = tmp_path / "a" / "runs"
    with unfinished_run(root) as unfinished:
        assert unfinished.parent == root
        (unfinished / "host.xplane.pb").touch()
        with pytest.raises(InputError, match="no run in"):
            read_run(root)
        made = finish_run(unfinished, "m", flat(), unfinished / "host.xplane.pb")
    assert made.trace.run_dir is not None
    assert sorted(os.listdir(made.trace.run_dir)) == ["host.xplane.pb", "record.json"]
    assert os.listdir(root) == [Path(made.trace.run_dir).name]
    assert read_run(root).record == made


def test_a_run_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KeyboardInterrupt), unfinished_run(tmp_path / "a" / "runs"):
        raise KeyboardInterrupt
    assert os.listdir(tmp_path) == []

    def full(*paths: object) -> None:
        raise OSError("no")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(RunFailed), unfinished_run(tmp_path / "a") as unfinished:
        finish_run(unfinished, "m", flat(), unfinished / "trace")
    assert os.listdir(tmp_path) == []


def test_runs_that_end_at_once_get_a_folder_each(tmp_path: Path) -> None:
    def one(number: int) -> str | None:
        with unfinished_run(tmp_path) as unfinished:
            (unfinished / "trace").write_text(str(number))
            return finish_run(unfinished, "m", flat(), unfinished / "trace").trace.run_dir

    with ThreadPoolExecutor(8) as pool:
        folders = list(pool.map(one, range(24)))
    assert len(set(folders)) == 24
    assert [(Path(folder or "") / "trace").read_text() for folder in folders] == [str(number) for number in range(24)]
    assert all(read_run(folder or "").record.trace.run_dir == folder for folder in folders)


def test_what_a_killed_run_left_is_not_shown(tmp_path: Path) -> None:
    left = tmp_path / ".tfopt-0123.tmp"
    left.mkdir()
    write_record(left, flat())
    with pytest.raises(InputError, match="no run in"):
        read_run(tmp_path)


def test_paths_that_lead_nowhere_are_said(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(InputError, match="loop is a link that leads nowhere"):
        read_run(tmp_path / "loop")
    with pytest.raises(InputError, match=r"cannot read .*: File name too long"):
        read_run(tmp_path / ("x" * 300))
    with pytest.raises(UsageError, match="cannot create a run folder in"), unfinished_run(tmp_path / ("x" * 300)):
        pass


def test_a_file_by_itself_is_no_run_folder(tmp_path: Path) -> None:
    written = write_record(tmp_path, flat())
    assert read_run(written).folder is None
    (tmp_path / "plugins" / "profile").mkdir(parents=True)
    assert read_run(written).folder == str(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is cut off"),
        (b'{"schema": "tfopt.profile/1", "model": {"pa', "is cut off"),
        (b"not json", "is not JSON"),
        (b"\xff\xfe\x00", "is not JSON"),
        (b'{"schema": "\xff"}', "is not JSON"),
        (b'{"a": ' + b"[" * 100_000, "is not JSON"),
        (b"[]", "does not fit the schema"),
        (b'{"schema": 3}', "does not fit the schema"),
        (b'{"schema": "tfopt.profile/1"}', "does not fit the schema .*missing required field `model`"),
        (b'{"schema": "tfopt.profile/2"}', "follows the schema tfopt.profile/2, this tfopt reads tfopt.profile/1"),
        (b"{}", "names no schema"),
    ],
)
def test_records_that_cannot_be_read_say_why(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "record.json").write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read_run(tmp_path)
    assert caught.value.exit_code == 3
    assert caught.value.hint


def test_missing_runs_are_named_with_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "mobilenet-1").mkdir()
    with pytest.raises(InputError, match="does not exist") as caught:
        read_run(tmp_path / "mobilnet-1")
    assert caught.value.hint == f"did you mean {tmp_path / 'mobilenet-1'}?"
    with pytest.raises(InputError, match="no run in"):
        read_run(tmp_path)
    (tmp_path / "plugins").mkdir()
    with pytest.raises(InputError, match=r"holds a trace but no record\.json"):
        read_run(tmp_path)


def test_a_run_that_is_like_no_other_is_sought_among_those_beside_it(tmp_path: Path) -> None:
    root = tmp_path / "my runs"
    root.mkdir()
    with pytest.raises(InputError) as caught:
        read_run(root / "nothing")
    assert caught.value.hint == "tfopt profile MODEL records a run under runs/"
    write_record(create_run(root, "mobilenet", NOW), flat())
    with pytest.raises(InputError) as caught:
        read_run(root / "nothing")
    assert caught.value.hint == f"tfopt report '{root}' shows the latest run there"
    with pytest.raises(InputError) as caught:
        read_run(root / "mobilenet-20261120")
    assert caught.value.hint == f"did you mean {root}/mobilenet-20261120-093107?"


def test_a_folder_without_a_trace_is_not_served(tmp_path: Path) -> None:
    write_record(tmp_path, flat())
    with pytest.raises(InputError, match="no profile in"):
        check_trace(tmp_path)
    with pytest.raises(InputError, match="is not a folder"):
        check_trace(tmp_path / "record.json")
    with pytest.raises(InputError, match="does not exist"):
        check_trace(tmp_path / "nowhere")
    trace = tmp_path / "run" / "plugins" / "profile" / "2026_11_20" / "host.xplane.pb"
    trace.parent.mkdir(parents=True)
    trace.with_name(".xplane.pb").touch()  # TensorBoard leaves out what names no host
    with pytest.raises(InputError, match="no profile in") as caught:
        check_trace(tmp_path)
    assert f"tfopt doctor {tmp_path} says" in caught.value.hint
    trace.touch()
    check_trace(tmp_path)
    check_trace(tmp_path / "run")
