"""Reading events: what counts as an op, on traces written event by event."""

from __future__ import annotations

from pathlib import Path

import pytest

from tfopt.errors import InputError
from tfopt.trace.protos import message
from tfopt.trace.recording import Recording, record
from tfopt.trace.timeline import sweep
from tfopt.trace.xspace import read_space

KINDS = {
    0: "dense/MatMul:MatMul",
    1: "train",
    2: "args_0:_Arg",
    3: "MemoryAllocation",
    4: "ExecutorState::Process",
    5: "ExecutorPropagateOutputs",
}


STATS = {7: "step_num", 8: "kernel_name"}


def recorded(
    folder: Path, events: list[tuple[int, int, int]], line_name: str = "tf_Compute/1", handed_on: str = ""
) -> Recording:
    """A trace with one step of 100 ps and these events (kind, offset, duration) on one thread."""
    space = message("XSpace")()
    plane = space.planes.add(name="/host:CPU")
    for key, name in STATS.items():
        plane.stat_metadata.add(key=key).value.name = name
    for key, name in KINDS.items():
        plane.event_metadata.add(key=key).value.name = name
    steps, ops = message("XLine")(name="python"), message("XLine")(name=line_name)
    step_number = message("XStat")(metadata_id=7, int64_value=0).SerializeToString()
    steps.events.add(metadata_id=1, offset_ps=0, duration_ps=100, stats=[step_number])
    for kind, offset, duration in events:
        event = ops.events.add(metadata_id=kind, offset_ps=offset, duration_ps=duration)
        if KINDS.get(kind) == "ExecutorPropagateOutputs":
            event.stats.append(message("XStat")(metadata_id=8, str_value=handed_on).SerializeToString())
    plane.lines.extend(line.SerializeToString() for line in (steps, ops))
    path = folder / "host.xplane.pb"
    path.write_bytes(space.SerializeToString())
    return record(read_space(path))


def test_only_ops_are_ops(tmp_path: Path) -> None:
    """Function arguments, allocations and kinds that the file does not describe take no time of the step."""
    found = recorded(tmp_path, [(0, 10, 30), (2, 50, 5), (3, 60, 5), (99, 70, 10), (2**40, 80, 10)])
    timeline = sweep(found)
    assert [op.name for op in found.ops] == ["dense/MatMul"]
    assert (timeline.wall.tolist(), timeline.idle, timeline.total) == ([30.0], 70.0, 100.0)
    assert found.events == 6


@pytest.mark.parametrize(
    ("handed_on", "ops"),
    [
        ("dense/MatMul", [("dense/MatMul", 60.0, 1)]),
        ("dense/exit/_7", [("dense/MatMul", 45.0, 1), ("dense/exit/_7", 15.0, 1)]),
        ("", [("dense/MatMul", 45.0, 1)]),
    ],
    ids=["an op that is shown too", "one that is not", "a nameless one"],
)
def test_the_executors_time_is_its_op_s(tmp_path: Path, handed_on: str, ops: list[tuple[str, float, int]]) -> None:
    """30 ps in the op and 15 around it; 15 more for what is handed on without running a kernel."""
    found = recorded(tmp_path, [(4, 10, 60), (0, 20, 30), (5, 51, 4), (5, 56, 14)], handed_on=handed_on)
    timeline = sweep(found)
    assert [(op.name, *rest) for op, *rest in zip(found.ops, timeline.wall, timeline.count, strict=True)] == ops
    assert timeline.idle == 100.0 - sum(time for _, time, _ in ops)


def test_the_pipeline_s_threads_are_not_the_step_s(tmp_path: Path) -> None:
    found = recorded(tmp_path, [(0, 10, 30)], "tf_data_private_threadpool/3")
    assert sweep(found).idle == 100.0


def test_a_trace_without_steps_says_so(tmp_path: Path) -> None:

    space = message("XSpace")()
    plane = space.planes.add(name="/host:CPU")
    for key, name in KINDS.items():
        plane.event_metadata.add(key=key).value.name = name
    plane.lines.append(message("XLine")(name="python").SerializeToString())
    path = tmp_path / "host.xplane.pb"
    path.write_bytes(space.SerializeToString())
    with pytest.raises(InputError, match="no steps"):
        record(read_space(path))
