"""speedscope files: a strict reader finds every millisecond of the record, in the right layer."""

from __future__ import annotations

import math
from collections import defaultdict

import msgspec
import pytest
from records_for_tests import HOSTILE, RECORDS, flat, hostile

from tests.readers import read_speedscope
from tfopt.records.profile import OpCharge, ProfileRecord
from tfopt.report import render
from tfopt.report.view import View

LONG = "layer_" * 2000 + "\ud800"


def with_op(record: ProfileRecord, **changes: object) -> ProfileRecord:
    first, *rest = record.ops
    return msgspec.structs.replace(record, ops=(msgspec.structs.replace(first, **changes), *rest))


@pytest.mark.parametrize("name", RECORDS)
def test_a_profile_adds_up_to_the_step_or_to_its_phase(name: str) -> None:
    record = RECORDS[name]()
    profiles = read_speedscope(render(record, View(top=1, depth=0), "speedscope"))
    assert next(iter(profiles)) == "step"
    sums = {name: math.fsum(weight for _, weight in stacks) for name, stacks in profiles.items()}
    assert sums.pop("step") == pytest.approx(record.step.median_ms)
    expected = {row.phase: row.ms for row in record.phases if row.ms and row.phase != "idle"}
    assert sums == {phase: pytest.approx(ms) for phase, ms in expected.items()}


@pytest.mark.parametrize("name", RECORDS)
def test_a_layer_is_as_wide_as_its_row(name: str) -> None:
    record = RECORDS[name]()
    wide: defaultdict[str, float] = defaultdict(float)
    for stack, weight in read_speedscope(render(record, format="speedscope"))["step"]:
        for path in {file for _, file in stack if file}:
            wide[path] += weight
    rows = {row.path: row.total_ms for row in record.layers if row.total_ms and row.path != "(idle)"}
    assert wide == {path: pytest.approx(ms) for path, ms in rows.items()}


def test_layers_stand_inside_one_another_and_ops_are_leaves() -> None:
    (stack,) = (
        stack
        for stack, _ in read_speedscope(render(RECORDS["nested"](), format="speedscope"))["step"]
        if "block_2/norm" in stack[-1][0]
    )
    assert [name for name, _ in stack] == [
        "forward",
        "captioner (Captioner)",
        "decoder (Functional)",
        "block_2 (Functional)",
        "norm (LayerNormalization)",
        "fusion captioner/decoder/block_2/norm/fusion.2",
    ]


def test_a_split_op_stands_in_each_of_its_layers() -> None:
    record = flat()
    here, there = (row.path for row in record.layers[1:3])
    charges = (
        OpCharge(layer=here, phase="forward", fraction=0.75),
        OpCharge(layer=there, phase="backward", fraction=0.25),
    )
    changed = with_op(record, name="split", charges=charges)
    profiles = read_speedscope(render(changed, format="speedscope"))
    for charge in charges:
        found = {stack[-2][1]: weight for stack, weight in profiles[charge.phase] if stack[-1][0].endswith(" split")}
        assert found == {charge.layer: pytest.approx(record.ops[0].self_ms * charge.fraction)}


def test_names_are_complete_and_exact() -> None:
    frames = {name for stack, _ in read_speedscope(render(hostile(), format="speedscope"))["step"] for name, _ in stack}
    for name in HOSTILE.values():
        assert f"{name} (Layer{name})" in frames
        assert f"Op{name} =HYPERLINK(1)/{name}/op" in frames


def test_names_that_no_json_can_hold_do_not_break_it() -> None:
    text = render(with_op(flat(), name=LONG), format="speedscope")
    names = {stack[-1][0] for stack, _ in read_speedscope(text)["backward"]}
    assert f"Conv2DBackpropInput {LONG[:-1]}\ufffd" in names
