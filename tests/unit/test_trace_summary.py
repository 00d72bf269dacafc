"""Foreign traces as records: what counts, what it joins to, and sums that must hold."""

from __future__ import annotations

from pathlib import Path

import pytest
from traces_for_tests import CONV, Lines, gpu, host, hostile, launched, tpu, xspace

from tfopt.errors import InputError
from tfopt.records.trace import TraceRecord
from tfopt.trace.protos import message
from tfopt.trace.summary import read_trace


def read(folder: Path, content: bytes) -> TraceRecord:
    path = folder / "h.xplane.pb"
    path.write_bytes(content)
    return read_trace(path)


@pytest.mark.parametrize("content", [gpu(), tpu(), host(), host(steps=True), hostile()])
def test_rows_rest_and_idle_add_up_to_the_span(tmp_path: Path, content: bytes) -> None:
    record = read(tmp_path, content)
    idle = sum(row.idle_ms for row in record.devices)
    named = [*record.ops, *record.unnamed]
    for rows in (named, record.kernels) if record.where == "device" else (named,):
        assert sum(row.self_ms for row in rows) + idle == pytest.approx(record.span_ms)
        assert sum(row.time_ms for row in rows) == pytest.approx(record.op_ms)
        assert sum(row.share for row in rows) == pytest.approx(1)
    unscoped = sum(op.time_ms for op in record.ops if not op.scope) + sum(row.time_ms for row in record.unnamed)
    assert sum(row.own_ms for row in record.scopes) + unscoped == pytest.approx(record.op_ms)
    for row in record.scopes:
        assert row.forward_ms + row.backward_ms + row.other_ms == pytest.approx(row.total_ms)
    assert record.idle_share == pytest.approx(idle / record.span_ms)


def test_streams_that_overlap_are_busy_once_and_lines_that_repeat_them_do_not_count(tmp_path: Path) -> None:
    record = read(tmp_path, gpu())
    first, second = record.devices
    assert (first.name, first.streams, first.events) == ("GPU:0", 2, 4)
    assert (first.span_ms, first.busy_ms, first.op_ms) == pytest.approx((0.1, 0.07, 0.08))
    assert (second.span_ms, second.busy_ms, second.idle_share) == pytest.approx((0.05, 0.025, 0.5))
    assert record.empty_devices == 1
    assert record.steps is not None
    assert (record.steps.count, record.steps.median_ms) == (2, pytest.approx(0.05))


def test_kernels_join_to_ops_through_the_program_and_the_rest_is_said(tmp_path: Path) -> None:
    record = read(tmp_path, gpu())
    assert [(op.name, op.phase, op.joined, op.occurrences) for op in record.ops] == [
        (CONV[0], "forward", "program", 2),
        (CONV[1], "backward", "program", 1),
    ]
    assert [(row.what, row.occurrences, row.share) for row in record.unnamed] == [
        ("copies", 2, pytest.approx(20 / 105)),
        ("kernels without an op", 1, 0.0),
    ]
    assert record.joined_share == pytest.approx(85 / 105)
    assert [(row.path, row.depth) for row in record.scopes] == [
        ("jit(step)", 0),
        ("jit(step)/Net", 1),
        ("jit(step)/Net/conv", 2),
    ]
    inner = record.scopes[-1]
    assert (inner.forward_ms, inner.backward_ms, inner.own_ms) == pytest.approx((0.065, 0.02, 0.085))


def test_without_programs_the_kernel_s_own_stats_name_the_op(tmp_path: Path) -> None:
    events = [
        ("a.kd", 0, 10, {"tf_op": "net/dense/MatMul:MatMul"}),
        ("b.kd", 10, 10, {"tf_op": "XlaModule:", "name": "jit(f)/dot_general"}),
        ("c.kd", 20, 10, {"hlo_op": "fusion.9", "program_id": 3, "tf_op": "XlaModule:"}),
        ("__amd_rocclr_fillBufferAligned.kd", 30, 10, {}),
    ]
    record = read(tmp_path, xspace({"/device:GPU:0": {"Stream #1": events}}))
    assert [(op.name, op.type, op.joined) for op in record.ops] == [
        ("fusion.9", "fusion.9", "hlo"),
        ("jit(f)/dot_general", "dot_general", "stat"),
        ("net/dense/MatMul", "MatMul", "stat"),
    ]
    assert record.joined_share == 0.5
    assert [row.what for row in record.unnamed] == ["memory sets"]
    assert any("no XLA programs" in note.message for note in record.notes)


def test_a_loop_on_a_tpu_has_only_the_time_outside_its_body(tmp_path: Path) -> None:
    record = read(tmp_path, tpu())
    assert [(row.name, row.occurrences, row.time_ms) for row in record.kernels] == [
        ("fusion.2", 2, pytest.approx(0.04)),
        ("while.1", 1, pytest.approx(0.02)),
    ]
    assert [(op.name, op.joined) for op in record.ops] == [
        ("jit(step)/while/body/Net/dense/dot_general", "stat"),
        ("jit(step)/while", "stat"),
    ]
    assert record.op_ms == record.span_ms == pytest.approx(0.06)
    assert record.steps is not None
    assert record.steps.count == 2


def test_a_host_without_steps_is_shown_as_a_whole(tmp_path: Path) -> None:
    record = read(tmp_path, host())
    assert record.where == "host"
    assert record.span_ms == pytest.approx(0.1)
    assert record.idle_share == pytest.approx(0.1)
    assert [(op.type, op.phase, op.scope, op.time_ms) for op in record.ops] == [
        ("MatMul", "backward", "net_1/dense_1/MatMul", pytest.approx(0.05)),
        ("MatMul", "forward", "net_1/dense_1", pytest.approx(0.03)),
        ("Sub", "other", "adam", pytest.approx(0.01)),
    ]
    assert record.steps is None
    assert "marks no steps" in record.notes[0].message


def test_steps_of_any_name_bound_a_host_s_time(tmp_path: Path) -> None:
    record = read(tmp_path, host(steps=True))
    assert record.steps is not None
    assert (record.steps.name, record.steps.count) == ("my step", 1)
    assert record.span_ms == pytest.approx(0.08)
    assert [op.phase for op in record.ops] == ["backward", "forward"]  # the update ran after the step


def test_launches_on_the_host_are_not_the_device_s_time(tmp_path: Path) -> None:
    device: Lines = {"Stream #1": [launched("conv.kd", 50, 40, "conv.1")]}
    calls: Lines = {
        "Host Threads/7": [launched("hipModuleLaunchKernel", 0, 30, "conv.1")],
        "tf_Compute/1": [("net/dense/MatMul:MatMul", 0, 5, {})],
    }
    planes = {"/host:CPU": calls, "/device:GPU:0": device}
    record = read(tmp_path, xspace(planes, {7: {"conv.1": CONV[0]}}))
    assert record.op_ms == pytest.approx(0.04)
    assert [op.name for op in record.host_ops] == ["net/dense/MatMul"]


def test_hosts_of_one_session_are_summed_and_told_apart(tmp_path: Path) -> None:
    session = tmp_path / "plugins" / "profile" / "2026_11_21_09_00_00"
    session.mkdir(parents=True)
    (session.parent / "2026_11_20_23_59_59").mkdir()
    (session.parent / "2026_11_20_23_59_59" / "a.xplane.pb").write_bytes(tpu())
    for name in ("a", "b"):
        (session / f"{name}.xplane.pb").write_bytes(gpu())
    record = read_trace(tmp_path)
    assert (record.source.session, record.source.sessions) == (session.name, 2)
    assert [(row.host, row.name) for row in record.devices] == [
        ("a", "GPU:0"),
        ("a", "GPU:1"),
        ("b", "GPU:0"),
        ("b", "GPU:1"),
    ]
    assert record.op_ms == pytest.approx(0.21)
    assert read_trace(session).ops == record.ops
    assert {file for file in tmp_path.rglob("*") if file.is_file() and "pb" not in file.suffix} == set()


@pytest.mark.parametrize("lines", [{}, {"python": [("$array.py:263 sharding", 0, 10, {})]}])
def test_a_trace_in_which_nothing_ran_is_an_error(tmp_path: Path, lines: Lines) -> None:
    with pytest.raises(InputError, match=r"nothing ran|holds no events"):
        read(tmp_path, xspace({"/host:CPU": lines, "/device:GPU:0": {}}))


def test_a_folder_without_traces_says_what_to_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no trace in"):
        read_trace(tmp_path)


def test_names_that_are_not_utf_8_are_written_out(tmp_path: Path) -> None:
    content = gpu().replace(b"conv.kd", b"c\xffnv.kd").replace(b"jvp(Net)/conv", b"jvp(Net)/c\xfenv")
    record = read(tmp_path, content)
    assert record.kernels[0].name == r"c\xffnv.kd"
    assert record.ops[0].name == r"jit(step)/jvp(Net)/c\xfenv/conv_general_dilated"


def test_times_beyond_all_measure_are_damage(tmp_path: Path) -> None:
    line = message("XLine")(name="Stream #1")
    line.events.add(metadata_id=0, offset_ps=2**62, duration_ps=1)
    space = message("XSpace")()
    space.planes.add(name="/device:GPU:0", lines=[line.SerializeToString()])
    with pytest.raises(InputError, match="damaged"):
        read(tmp_path, space.SerializeToString())


def test_what_the_profiler_complained_of_is_passed_on(tmp_path: Path) -> None:
    space = message("XSpace").FromString(gpu())
    space.errors.append("dropped 12 events")
    assert "dropped 12 events" in read(tmp_path, space.SerializeToString()).notes[0].message
