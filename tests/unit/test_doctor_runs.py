"""`tfopt doctor RUNS`: where TensorBoard would look, and what it would show, of good folders and broken ones."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from records_for_tests import flat
from traces_for_tests import gpu, host

import tfopt
from tfopt.diagnosis import sessions
from tfopt.errors import InputError
from tfopt.records.diagnosis import DiagnosisRecord
from tfopt.report.runs import write_record

SESSION = "plugins/profile/2026_11_20"


def put(folder: Path, name: str = f"{SESSION}/vm.xplane.pb", content: bytes | None = None) -> Path:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(host(steps=True) if content is None else content)
    return file


def said(record: DiagnosisRecord) -> dict[str, str]:
    """Everything that is not fine, but for the note that a trace of a CPU has no devices."""
    bad = {one.id: one.status for one in record.findings if one.status != "ok"}
    assert all(one.mend for one in record.of("problem"))
    bad.pop("trace.devices", None)
    return bad


def found(record: DiagnosisRecord, id: str) -> str:
    return next(one.found for one in record.findings if one.id == id)


def mend(record: DiagnosisRecord, id: str) -> str:
    return next(one.mend for one in record.findings if one.id == id)


def test_a_run_is_confirmed(tmp_path: Path) -> None:
    run = tmp_path / "my runs" / "model-1"
    put(run)
    write_record(run, flat())
    for target in (run, run.parent, tmp_path, run / "record.json"):
        record = tfopt.doctor(target)
        assert said(record) == {}
        assert not record.of("note"), "a run on the CPU has no devices, which is as it should be"
        where = run if target.name == "record.json" else target
        assert record.command == f"tensorboard --logdir '{where}'" if " " in str(where) else where
        assert "1 steps" in found(record, "trace.readable")


@pytest.mark.parametrize("inside", ["plugins", "plugins/profile", SESSION])
def test_inside_of_plugins_is_too_deep(inside: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "run")
    record = tfopt.doctor(tmp_path / "run" / inside)
    assert said(record) == {"layout.level": "problem"}
    assert mend(record, "layout.level") == record.command == f"tensorboard --logdir {tmp_path / 'run'}"
    monkeypatch.chdir(tmp_path / "run" / inside)
    assert tfopt.doctor(".").command == f"tensorboard --logdir {os.path.relpath(tmp_path / 'run')}"


def test_an_empty_name_is_this_folder_and_not_this_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert tfopt.doctor("").target == "."


def test_a_trace_is_named_by_its_file(tmp_path: Path) -> None:
    file = put(tmp_path)
    record = tfopt.doctor(file)
    assert said(record) == {}
    assert record.command == f"tensorboard --logdir {tmp_path}"


@pytest.mark.parametrize(
    "name", ["vm.xplane.pb", "profile/s/vm.xplane.pb", "plugins/profile/vm.xplane.pb", "plugins/profiler/s/a.xplane.pb"]
)
def test_traces_elsewhere_are_not_listed_and_the_command_puts_them_there(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "my logs", name)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    for target in (tmp_path / "my logs", tmp_path / "my logs" / name):
        record = tfopt.doctor(target)
        if target.is_file() and target.parent.parent.name == "plugins":
            continue
        assert said(record) == {"layout.level": "problem"}
        assert record.command == ""
        copies, _, shows = mend(record, "layout.level").rpartition(" && ")
        assert os.system(copies) == 0
        assert shows == "tensorboard --logdir logs"
        assert said(tfopt.doctor("logs")) == {}
        os.system("rm -r logs")


def test_a_trace_under_another_name_is_copied_under_one_that_tensorboard_reads(tmp_path: Path) -> None:
    record = tfopt.doctor(put(tmp_path, "trace.pb"))
    assert said(record) == {"layout.level": "problem"}
    assert mend(record, "layout.level").split(" && ")[1].endswith("logs/plugins/profile/trace.pb/trace.pb.xplane.pb")


@pytest.mark.parametrize("names", [("xplane.pb",), ("xplane.pb", "vm.xplane.pb")])
def test_a_trace_that_names_no_host_is_copied_under_a_name_that_does(
    names: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, "my logs/a/b.xplane.pb")
    for name in names:
        put(tmp_path, f"my logs/s/{name}")
    monkeypatch.chdir(tmp_path)
    record = tfopt.doctor("my logs")
    assert found(record, "layout.level").startswith(f"{len(names)} trace")
    assert os.system(mend(record, "layout.level").rpartition(" && ")[0]) == 0
    assert said(tfopt.doctor("logs")) == {}
    assert {file.name for file in Path("logs").rglob("*.pb")} == {"host.xplane.pb", *names[1:]}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no events"),
        (host()[:200], "damaged"),
        (b"\x0a\x02\x12\x00", "no events"),
        (b"PK\x03\x04 a model", "not a profiler trace"),
    ],
)
def test_a_damaged_trace_is_a_problem_and_others_beside_it_are_read(content: bytes, words: str, tmp_path: Path) -> None:
    put(tmp_path, f"{SESSION}/bad.xplane.pb", content)
    put(tmp_path, f"{SESSION}/vm.xplane.pb")
    record = tfopt.doctor(tmp_path)
    assert said(record) == {"trace.readable": "problem"}
    (problem,) = record.of("problem")
    assert words in problem.found
    assert "bad.xplane.pb" in problem.found
    assert any("vm.xplane.pb" in one.found for one in record.of("ok"))


def test_no_step_markers_and_no_devices_are_notes(tmp_path: Path) -> None:
    put(tmp_path, content=host())
    record = tfopt.doctor(tmp_path)
    assert {one.id: one.status for one in record.findings if one.status != "ok"} == {
        "trace.steps": "note",
        "trace.devices": "note",
    }
    assert "No step marker observed" in found(record, "trace.steps")


def test_a_trace_of_devices_says_how_many(tmp_path: Path) -> None:
    put(tmp_path, content=gpu())
    record = tfopt.doctor(tmp_path)
    assert "2 devices" in found(record, "trace.readable")
    assert "trace.devices" not in {one.id for one in record.findings}


def test_a_session_of_caches_is_empty(tmp_path: Path) -> None:
    put(tmp_path, f"{SESSION}/ALL_HOSTS.op_stats_v2.pb")
    record = tfopt.doctor(tmp_path)
    assert said(record) == {"layout.traces": "problem"}
    assert "only files that are made from traces" in found(record, "layout.traces")
    assert record.command == ""
    put(tmp_path, "later/plugins/profile/2026_11_21/vm.xplane.pb")
    assert said(tfopt.doctor(tmp_path)) == {"layout.traces": "note"}
    assert said(tfopt.doctor(tmp_path / "plugins" / "profile")) == {"layout.level": "problem"}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("events.out.tfevents.1.vm.2.0.v2", "event files"),
        ("old/vm.trace.json.gz", "made from traces, but no trace"),
        ("model.keras", "holds no profile"),
        ("plugins/profile/readme.txt", "holds no profile"),
    ],
)
def test_a_folder_without_any_trace_says_what_it_has(name: str, words: str, tmp_path: Path) -> None:
    put(tmp_path, name)
    record = tfopt.doctor(tmp_path)
    assert said(record) == {"layout.traces": "problem"}
    assert words in found(record, "layout.traces")


def test_links_are_not_followed(tmp_path: Path) -> None:
    put(tmp_path / "there")
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "run").symlink_to(tmp_path / "there")
    record = tfopt.doctor(tmp_path / "here")
    assert said(record) == {"layout.traces": "problem"}
    assert mend(record, "layout.traces") == f"tensorboard --logdir {tmp_path / 'there'}"
    assert said(tfopt.doctor(tmp_path / "here" / "run")) == {}


@pytest.mark.parametrize(
    ("name", "status"), [("xplane.pb", "problem"), (".xplane.pb", "problem"), ("a,b.xplane.pb", "note")]
)
def test_a_file_s_name_must_name_one_host(name: str, status: str, tmp_path: Path) -> None:
    put(tmp_path, f"{SESSION}/{name}")
    record = tfopt.doctor(tmp_path)
    assert said(record) == {"trace.host": status}
    assert os.system(mend(record, "trace.host")) == 0
    assert said(tfopt.doctor(tmp_path)) == {}


def test_too_many_events_for_the_viewer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path)
    monkeypatch.setattr(sessions, "_VIEWER_EVENTS", 3)
    assert said(tfopt.doctor(tmp_path)) == {"trace.events": "note"}


def test_a_trace_beyond_protobuf_s_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = put(tmp_path)
    os.truncate(file, 2**31)  # a hole: no room is taken
    record = tfopt.doctor(tmp_path)
    assert said(record) == {"trace.readable": "problem"}
    assert "2.15 GB" in found(record, "trace.readable")


def test_a_record_of_a_newer_schema_is_told_and_the_trace_still_read(tmp_path: Path) -> None:
    put(tmp_path)
    (tmp_path / "record.json").write_text(json.dumps({"schema": "tfopt.profile/9"}))
    record = tfopt.doctor(tmp_path)
    assert said(record) == {"trace.record": "problem"}
    assert "tfopt.profile/9" in found(record, "trace.record")
    assert record.command


def test_only_the_latest_of_many_are_read(tmp_path: Path) -> None:
    for number in range(10):
        put(tmp_path, f"m-{number}/plugins/profile/2026_11_2{number}/vm.xplane.pb", None if number > 1 else b"")
    record = tfopt.doctor(tmp_path)
    assert said(record) == {"trace.others": "unknown"}
    assert "2 older traces" in found(record, "trace.others")


def test_what_is_no_run_cannot_be_examined(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("{}")
    with pytest.raises(InputError, match="is no trace"):
        tfopt.doctor(tmp_path / "notes.txt")
    with pytest.raises(InputError, match="does not exist"):
        tfopt.doctor(tmp_path / "runs")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission(tmp_path: Path) -> None:
    file = put(tmp_path / "run")
    file.chmod(0)
    assert said(tfopt.doctor(tmp_path)) == {"trace.readable": "problem"}
    (tmp_path / "run").chmod(0)
    with pytest.raises(InputError, match="cannot read"):
        tfopt.doctor(tmp_path / "run")


def test_traces_of_strangers(real_traces: Path) -> None:
    record = tfopt.doctor(real_traces)
    statuses = {one.id: one.status for one in record.of("problem")}
    assert statuses == {"layout.level": "problem", "trace.readable": "problem"}
    assert any("corrupt_utf8_replaced" in one.found for one in record.of("problem"))
    assert len([one for one in record.of("ok") if one.id == "trace.readable"]) == 3
