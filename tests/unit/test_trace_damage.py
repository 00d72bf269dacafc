"""Traces that are well-formed and false: refused with the reason, and read in time that grows with their size."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit.traces_for_tests import xspace
from tfopt.errors import InputError
from tfopt.trace.hlo import programs
from tfopt.trace.intervals import exclusive
from tfopt.trace.protos import message
from tfopt.trace.recording import record
from tfopt.trace.xspace import Space, read_space


def space_of(folder: Path, data: bytes) -> Space:
    path = folder / "t.xplane.pb"
    path.write_bytes(data)
    return read_space(path)


def refusal(folder: Path, data: bytes) -> str:
    with pytest.raises(InputError) as caught:
        record(space_of(folder, data))
    return caught.value.message


@pytest.mark.parametrize(
    ("offset", "duration", "why"),
    [
        (0, -1, "ends before it begins"),
        (2**62, 5, "days apart"),
        (-(2**63), 5, "days apart"),
        (0, 2**63 - 1, "days apart"),
    ],
)
def test_impossible_times(offset: int, duration: int, why: str, tmp_path: Path) -> None:
    step = ("train", 0, 100, {"step_num": 0})
    trace = xspace({"/host:CPU": {"main": [step, ("a/MatMul:MatMul", offset, duration, {})]}})
    assert why in refusal(tmp_path, trace)


def beginning(*times_ns: int) -> bytes:
    """A trace with a step on each of several lines, which begin at these times."""
    step = ("train", 0, 9, {"step_num": 0})
    space = message("XSpace").FromString(xspace({"/host:CPU": {f"line {at}": [step] for at in range(len(times_ns))}}))
    for at, time_ns in enumerate(times_ns):
        line = message("XLine").FromString(space.planes[0].lines[at])
        line.timestamp_ns = time_ns
        space.planes[0].lines[at] = line.SerializeToString()
    return bytes(space.SerializeToString())


def test_lines_that_begin_years_apart(tmp_path: Path) -> None:
    assert "days apart" in refusal(tmp_path, beginning(5, 2**63 - 1))


def test_lines_that_begin_at_the_time_of_day(tmp_path: Path) -> None:
    """Nanoseconds since 1970 fit into 64 bits, picoseconds do not."""
    now_ns = 1_800_000_000 * 10**9
    (plane,) = space_of(tmp_path, beginning(now_ns + 7, now_ns)).planes
    assert [line.start.tolist() for line in plane.lines()] == [[7000], [0]]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"{}", "does not begin like one"),
        (b"\x0a\xff\xff\xff\x01abc", "do not decode as a profiler trace"),
        (
            b"\x0a\x7f" + "\N{REPLACEMENT CHARACTER}".encode() * 9,
            "9 of its bytes were replaced when it was copied as text",
        ),
    ],
)
def test_what_is_wrong_with_a_file(data: bytes, why: str, tmp_path: Path) -> None:
    assert why in refusal(tmp_path, data)


def test_markers_in_markers_without_end(tmp_path: Path) -> None:
    deep = [(f"tfopt:layer:{level}", level, 10_000 - 2 * level, dict[str, Any]()) for level in range(2000)]
    step = ("train", 0, 10_000, {"step_num": 0})
    trace = xspace({"/host:CPU": {"main": [step, *deep, ("EagerLocalExecute: Relu", 3000, 1, {})]}})
    assert "markers lie in each other" in refusal(tmp_path, trace)


def hlo_space(folder: Path, module: Any) -> Space:
    encoded = message("HloProto")(hlo_module=module).SerializeToString()
    space = message("XSpace")()
    plane = space.planes.add(name="/host:metadata")
    plane.stat_metadata.add(key=1).value.name = "hlo_proto"
    plane.event_metadata.add(key=5).value.stats.add(metadata_id=1, bytes_value=encoded)
    return space_of(folder, space.SerializeToString())


def test_fusions_that_hold_themselves(tmp_path: Path) -> None:
    """Each computation counts once: followed to any depth, ten fusions in each other are 10^8 members at depth 8."""
    module = message("HloModuleProto")()
    entry, body = module.computations.add(id=1), module.computations.add(id=2)
    entry.instructions.add(name="fusion", opcode="fusion", id=1, called_computation_ids=[2])
    for number in range(10):
        body.instructions.add(name=f"inner.{number}", opcode="fusion", id=number, called_computation_ids=[2, 2])
    body.instructions.add(name="add", opcode="add", id=99)
    started = time.process_time()
    (graph,) = programs(hlo_space(tmp_path, module)).values()
    assert [member.type for member in graph.nodes["fusion"].members] == ["add"]
    assert time.process_time() - started < 1.0


@pytest.mark.parametrize("dimensions", [[2**62] * 40, [-1, 5], [2**63 - 1, 2**63 - 1]])
def test_shapes_that_no_tensor_has(dimensions: list[int], tmp_path: Path) -> None:
    module = message("HloModuleProto")()
    entry, body = module.computations.add(id=1), module.computations.add(id=2)
    entry.instructions.add(name="fusion", opcode="fusion", id=1, called_computation_ids=[2])
    for number in range(30):
        operand = body.instructions.add(name=f"p{number}", opcode="parameter", id=number)
        operand.shape.dimensions.extend(dimensions)
    heavy = body.instructions.add(name="dot", opcode="dot", id=99, operand_ids=range(30))
    heavy.shape.dimensions.extend(dimensions)
    (graph,) = programs(hlo_space(tmp_path, module)).values()
    works = [member.work for member in graph.nodes["fusion"].members]
    assert all(np.isfinite(work) and work >= 0 for work in works)


def test_many_threads_cost_no_more_than_their_events() -> None:
    """40,000 threads of two events: looking through all events for each thread would take a minute."""
    threads = np.repeat(np.arange(40_000), 2)
    start = np.tile([0, 5], 40_000)
    started = time.process_time()
    pieces, _, _ = exclusive(start, start + np.tile([20, 5], 40_000), threads)
    assert len(pieces) == 3 * 40_000
    assert time.process_time() - started < 3.0
