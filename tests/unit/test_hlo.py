"""Reading XLA programs: what their instructions are, and the work that a fusion's time is split by."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tfopt.trace.graph import Graph
from tfopt.trace.hlo import programs
from tfopt.trace.protos import message
from tfopt.trace.xspace import read_space


def program(folder: Path, fill: Any) -> Graph:
    """The program that `fill(module)` writes, read back from a trace."""
    proto = message("HloProto")()
    fill(proto.hlo_module)
    space = message("XSpace")()
    plane = space.planes.add(name="/host:metadata")
    plane.stat_metadata.add(key=1).value.name = "Hlo Proto"
    entry = plane.event_metadata.add(key=5)
    entry.value.name = "jit"
    entry.value.stats.add(metadata_id=1, bytes_value=proto.SerializeToString())
    path = folder / "host.xplane.pb"
    path.write_bytes(space.SerializeToString())
    return programs(read_space(path))[5]


def instruction(computation: Any, id_: int, opcode: str, shape: tuple[int, ...], operands: tuple[int, ...] = ()) -> Any:
    added = computation.instructions.add(name=f"{opcode}.{id_}", opcode=opcode, id=id_, operand_ids=operands)
    added.shape.dimensions.extend(shape)
    added.metadata.op_name = f"layer/{opcode}"
    return added


def fused(fill: Any) -> Any:
    """A module whose entry is one fusion of the instructions that `fill(computation)` adds."""

    def write(module: Any) -> None:
        fill(module.computations.add(id=2, name="fused"))
        fusion = instruction(module.computations.add(id=1, name="entry"), 1, "fusion", (4,))
        fusion.called_computation_ids.append(2)

    return write


def work(folder: Path, fill: Any) -> dict[str, float]:
    graph = program(folder, fused(fill))
    return {member.type: member.work for member in graph.nodes["fusion.1"].members}


def test_a_batched_product_sums_over_what_it_contracts(tmp_path: Path) -> None:
    def fill(computation: Any) -> None:
        instruction(computation, 10, "parameter", (8, 3, 5))
        instruction(computation, 11, "parameter", (8, 5, 7))
        dot = instruction(computation, 12, "dot", (8, 3, 7), (10, 11))
        dot.dot_dimension_numbers.lhs_contracting_dimensions.append(2)

    assert work(tmp_path, fill)["dot"] == 2 * 8 * 3 * 7 * 5


@pytest.mark.parametrize(("kernel", "feature"), [((3, 3, 16, 32), 3), ((32, 3, 3, 16), 0)])
def test_a_convolution_sums_over_its_kernel(tmp_path: Path, kernel: tuple[int, ...], feature: int) -> None:
    def fill(computation: Any) -> None:
        instruction(computation, 10, "parameter", (2, 8, 8, 16))
        instruction(computation, 11, "parameter", kernel)
        convolution = instruction(computation, 12, "convolution", (2, 8, 8, 32), (10, 11))
        convolution.convolution_dimension_numbers.kernel_output_feature_dimension = feature

    assert work(tmp_path, fill)["convolution"] == 2 * (2 * 8 * 8 * 32) * (3 * 3 * 16)


def test_shapes_beyond_any_number_are_work_all_the_same(tmp_path: Path) -> None:
    huge = (2**62,) * 20

    def fill(computation: Any) -> None:
        instruction(computation, 10, "parameter", huge)
        dot = instruction(computation, 11, "dot", huge, (10, 10))
        dot.dot_dimension_numbers.lhs_contracting_dimensions.extend(range(20))
        instruction(computation, 12, "convolution", huge, (10, 10))
        window = instruction(computation, 13, "reduce-window", huge, (10,))
        for length in huge:
            window.window.dimensions.add(size=length)

    found = work(tmp_path, fill)
    assert all(0 <= amount < float("inf") for amount in found.values())


def test_other_work_is_by_element(tmp_path: Path) -> None:
    def fill(computation: Any) -> None:
        instruction(computation, 10, "parameter", (100,))
        instruction(computation, 11, "add", (100,), (10, 10))
        instruction(computation, 12, "tanh", (100,), (11,))
        instruction(computation, 13, "reduce", (), (12,))
        window = instruction(computation, 14, "reduce-window", (50,), (12,))
        window.window.dimensions.add(size=3)

    found = work(tmp_path, fill)
    assert found == {"parameter": 0.0, "add": 100.0, "tanh": 1000.0, "reduce": 100.0, "reduce-window": 150.0}


def test_operands_callers_and_names(tmp_path: Path) -> None:
    def fill(module: Any) -> None:
        entry = module.computations.add(id=1, name="entry")
        instruction(entry, 1, "parameter", (4,))
        loop = instruction(entry, 2, "while", (4,), (1,))
        loop.called_computation_ids.append(2)
        instruction(module.computations.add(id=2, name="body"), 3, "add", (4,))

    graph = program(tmp_path, fill)
    assert graph.nodes["while.2"].inputs == ("parameter.1",)
    assert graph.readers(graph.nodes["parameter.1"]) == ("while.2",)
    assert graph.nodes["add.3"].callers == ("while.2",)
    assert graph.nodes["add.3"].op_name == "layer/add"
