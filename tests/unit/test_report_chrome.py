"""Chrome traces: a strict reader finds the events of the steps, each with its layer, nested on its track."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from cli_for_tests import Here
from records_for_tests import flat, op

from tests.readers import Slice, read_chrome
from tfopt.errors import InputError
from tfopt.records.profile import OpRow, ProfileRecord
from tfopt.report import render
from tfopt.report.runs import write_record
from tfopt.report.view import View
from tfopt.trace.protos import message
from tfopt.trace.recording import record as read_recording
from tfopt.trace.xspace import read_space

# (name, start and length in ns, stats)
Event = tuple[str, int, int, dict[str, Any]]
STEPS: list[Event] = [("train", 1_000, 500, {"step_num": 0}), ("train", 2_000, 500, {"step_num": 1})]
EVIL = "\x1b[31m=cmd()|`\n\ud800" + "long" * 2500
GRAPH: list[Event] = [
    ("before/MatMul:MatMul", 900, 50, {}),
    ("m/dense/MatMul:MatMul", 990, 110, {}),  # reaches into the step
    ("m/dense/MatMul:MatMul", 1_200, 200, {}),
    ("m/dense/Relu:Relu", 1_250, 50, {}),  # inside the one before
    ("m/new/Add:Add", 1_600, 100, {}),  # between the steps
    ("m/new/Add:Add", 2_400, 100, {}),
]
XLA: list[Event] = [
    ("fusion.1", 1_000, 10, {"hlo_op": "fusion.1", "program_id": 7, "_p": 1}),
    ("fusion.2", 1_020, 10, {"hlo_op": "fusion.2", "program_id": 7, "_p": 2}),
    ("fusion.1", 2_000, 10, {"hlo_op": "fusion.1", "program_id": 7, "_p": 3}),
]
ENDS: list[Event] = [
    ("end: fusion.1", 1_300, 1, {"_c": 1}),
    ("end: fusion.2", 1_200, 1, {"_c": 2}),
    ("end: fusion.1", 2_200, 1, {"_c": 3}),
]
EAGER: list[Event] = [
    ("tfopt:phase:input", 1_010, 50, {}),
    ("EagerLocalExecute: IteratorGetNext", 1_020, 30, {}),
    ("tfopt:layer:2", 1_100, 100, {}),
    ("EagerLocalExecute: MatMul", 1_110, 80, {}),
    ("tfopt:phase:backward", 1_300, 100, {}),
    ("EagerLocalExecute: Mul", 1_310, 20, {}),
    ("tfopt:layer:9999", 1_420, 20, {}),
    ("EagerLocalExecute: Cast", 1_425, 5, {}),
]


def kept(folder: Path, *rows: OpRow, **threads: list[Event]) -> ProfileRecord:
    """A record in `folder` with the trace of two steps and of these threads, and with the ops `rows`."""
    space = message("XSpace")()
    plane = space.planes.add(name="/host:CPU")
    kinds: dict[str, int] = {}
    stats: dict[str, int] = {}
    for name, events in {"main": STEPS, **threads}.items():
        line = message("XLine")(name=name)
        for kind, start, length, given in events:
            found = [_stat(stats.setdefault(key, len(stats)), value) for key, value in given.items()]
            number = kinds.setdefault(kind, len(kinds))
            line.events.add(metadata_id=number, offset_ps=start * 1000, duration_ps=length * 1000, stats=found)
        plane.lines.append(line.SerializeToString())
    for kind, number in kinds.items():
        plane.event_metadata.add(key=number).value.name = kind
    for name, number in stats.items():
        plane.stat_metadata.add(key=number).value.name = name
    made = flat()
    file = folder / (made.trace.file or "")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(space.SerializeToString())
    size, events = file.stat().st_size, read_recording(read_space(file)).events
    trace = msgspec.structs.replace(made.trace, bytes=size, events=events, run_dir=str(folder))
    return msgspec.structs.replace(made, ops=rows, trace=trace)


def _stat(number: int, value: Any) -> bytes:
    kind = "str_value" if isinstance(value, str) else "int64_value"
    return message("XStat")(metadata_id=number, **{kind: value}).SerializeToString()  # type: ignore[no-any-return]


def shown(record: ProfileRecord) -> list[tuple[str, list[Slice]]]:
    return read_chrome(render(record, View(top=1), "chrome"))


def spans(slices: list[Slice]) -> list[tuple[str, int, int, int]]:
    return [(slice.name, slice.start, slice.end, slice.depth) for slice in slices]


def test_events_that_reach_into_a_step_are_shown_on_their_threads(tmp_path: Path) -> None:
    row = op("MatMul", "m/dense/MatMul", "m/dense", "forward", 1.0, 10.0)
    steps, worker = shown(kept(tmp_path, row, worker=GRAPH, elsewhere=[("a/Add:Add", 1_700, 10, {})]))
    assert (steps[0], spans(steps[1])) == ("steps", [("step 0", 0, 500, 0), ("step 1", 1_000, 1_500, 0)])
    assert worker[0] == "worker"
    assert spans(worker[1]) == [
        ("m/dense/MatMul", -10, 100, 0),
        ("m/dense/MatMul", 200, 400, 0),
        ("m/dense/Relu", 250, 300, 1),
        ("m/new/Add", 1_400, 1_500, 0),
    ]
    known, unknown = worker[1][0], worker[1][2]
    assert known.category == "forward"
    assert known.args == {"layer": "m/dense", "phase": "forward", "type": "MatMul", "source": "own"}
    assert unknown.args == {"layer": "(unattributed)", "phase": "unattributed", "type": "Relu", "source": "none"}


def test_work_beside_its_thread_has_tracks_of_its_own(tmp_path: Path) -> None:
    row = op("fusion", "m/dense/MatMul", "m/dense", "backward", 1.0, 10.0, "inferred")
    rows = (
        msgspec.structs.replace(row, instruction="7:fusion.1"),
        msgspec.structs.replace(row, instruction="8:fusion.2"),
    )
    _, thread, *beside = shown(kept(tmp_path, *rows, pool=XLA, other=ENDS))
    assert [(slice.start, slice.end) for slice in thread[1]] == [(0, 10), (20, 30), (1_000, 1_010)]
    assert [(name, [(slice.start, slice.end) for slice in slices]) for name, slices in beside] == [
        ("asynchronous work 1", [(10, 300)]),
        ("asynchronous work 2", [(30, 200), (1_010, 1_200)]),
    ]
    assert {slice.name: slice.args["layer"] for _, slices in beside for slice in slices} == {
        "m/dense/MatMul": "m/dense",
        "fusion.2": "(unattributed)",  # that of another program is another op
    }


def test_eager_ops_and_waiting_find_their_places_by_what_they_ran_inside_of(tmp_path: Path) -> None:
    record = kept(tmp_path, python=EAGER)
    _, (_, slices) = shown(record)
    places = {slice.name: (slice.args["layer"], slice.category) for slice in slices}
    assert places == {
        "waiting for data": ("(input)", "input"),
        "MatMul": (record.layers[2].path, "forward"),
        "Mul": ("(backward)", "backward"),
        "Cast": ("(unattributed)", "unattributed"),
    }


def test_hostile_names_do_not_break_it(tmp_path: Path) -> None:
    row = op("MatMul", "m/dense/MatMul", EVIL, "forward", 1.0, 10.0)
    _, (_, slices) = shown(kept(tmp_path, row, **{"\x1b[2Jevil\n": GRAPH}))
    assert slices[0].args["layer"] == EVIL.replace("\ud800", "\ufffd")


def test_a_trace_that_is_missing_or_another_one_is_said(tmp_path: Path) -> None:
    record = kept(tmp_path, worker=GRAPH)
    file = tmp_path / str(record.trace.file)
    other = msgspec.structs.replace(record, trace=msgspec.structs.replace(record.trace, events=1))
    unkept = msgspec.structs.replace(record, trace=msgspec.structs.replace(record.trace, run_dir=None, file=None))
    with pytest.raises(InputError, match="is not the one that the record was made from"):
        render(other, format="chrome")
    with pytest.raises(InputError, match="kept no trace"):
        render(unkept, View(run_dir=str(tmp_path)), "chrome")
    file.unlink()
    with pytest.raises(InputError, match="is gone"):
        render(record, View(run_dir=str(tmp_path)), "chrome")


@pytest.mark.parametrize("wish", [("--format", "chrome"), ("-o", "a.chrome.json")])
@pytest.mark.parametrize("quiet", [(), ("--quiet",)])
def test_on_the_command_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    wish: tuple[str, str],
    quiet: Any,
) -> None:
    here = Here(tmp_path, monkeypatch, capfd)
    record = kept(tmp_path, worker=GRAPH)
    expected = render(record, format="chrome")
    moved = msgspec.structs.replace(record.trace, run_dir="where/it/was/recorded")
    write_record(tmp_path, msgspec.structs.replace(record, trace=moved))
    said = here("report", ".", *wish, *quiet)
    assert said.code == 0
    assert expected == (Path("a.chrome.json").read_text() if wish[0] == "-o" else said.out)
    refused = here("profile", "m", "--no-save", "--force", *wish, *quiet)
    assert (refused.code, here.profile.calls) == (2, [])
    assert refused.err.splitlines() == [
        "error: --no-save keeps no trace, which is what a Chrome trace shows",
        "help:  leave --no-save out",
    ]
    (tmp_path / str(flat().trace.file)).unlink()
    gone = here("report", ".", *wish, *quiet, "--force")
    assert (gone.code, len(gone.err.splitlines())) == (3, 2)
