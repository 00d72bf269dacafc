"""Reading events: what counts as an op, on traces written event by event."""

from __future__ import annotations

from pathlib import Path

import pytest

from tfopt.errors import InputError
from tfopt.trace.protos import message
from tfopt.trace.recording import Recording, record
from tfopt.trace.timeline import sweep
from tfopt.trace.xspace import read_space

KINDS = {0: "dense/MatMul:MatMul", 1: "train", 2: "args_0:_Arg", 3: "MemoryAllocation"}


def recorded(folder: Path, events: list[tuple[int, int, int]], line_name: str = "tf_Compute/1") -> Recording:
    """A trace with one step of 100 ps and these events (kind, offset, duration) on one thread."""
    space = message("XSpace")()
    plane = space.planes.add(name="/host:CPU")
    plane.stat_metadata.add(key=7).value.name = "step_num"
    for key, name in KINDS.items():
        plane.event_metadata.add(key=key).value.name = name
    steps, ops = message("XLine")(name="python"), message("XLine")(name=line_name)
    step_number = message("XStat")(metadata_id=7, int64_value=0).SerializeToString()
    steps.events.add(metadata_id=1, offset_ps=0, duration_ps=100, stats=[step_number])
    for kind, offset, duration in events:
        ops.events.add(metadata_id=kind, offset_ps=offset, duration_ps=duration)
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
