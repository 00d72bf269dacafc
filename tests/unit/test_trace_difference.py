"""The difference of two foreign traces: every table adds up, and traces of different length stay comparable."""

from __future__ import annotations

import json
from math import fsum
from pathlib import Path

import jsonschema
import pytest
from cli_for_tests import ROOT, tfopt
from records_for_tests import flat
from traces_for_tests import US, gpu, host, hostile, record_of, tpu, xspace

from tfopt import diff
from tfopt.errors import UsageError
from tfopt.records.trace_difference import TraceDifferenceRecord
from tfopt.report import render
from tfopt.report.view import View

TRACES = {"gpu": gpu, "tpu": tpu, "host": host, "marked host": lambda: host(steps=True), "hostile": hostile}


def assert_adds_up(found: TraceDifferenceRecord) -> None:
    for rows in (found.ops, found.types, found.phases, found.scopes, found.kernels):
        for part in ("before_ms", "after_ms", "change_ms"):
            total = fsum(getattr(row.time, part) for row in rows)
            assert total == pytest.approx(getattr(found.op_time, part)) or rows is found.kernels


@pytest.mark.parametrize("before", TRACES)
@pytest.mark.parametrize("after", TRACES)
def test_every_table_adds_up_and_json_follows_its_schema(after: str, before: str) -> None:
    found = diff(record_of(TRACES[after]), record_of(TRACES[before]))
    assert_adds_up(found)
    assert found.same_recording == (after == before)
    schema = json.loads((ROOT / "docs" / "schema" / "trace-difference.schema.json").read_text())
    jsonschema.validate(json.loads(render(found, format="json")), schema)


def repeated(times: int, microseconds: int) -> bytes:
    events = [("conv.kd", at * 100 * US, microseconds * US, {"tf_op": "net/conv/Conv2D:Conv2D"}) for at in range(times)]
    return xspace({"/device:GPU:0": {"Stream #1": events}})


def test_one_occurrence_is_compared_whatever_the_length_of_the_traces() -> None:
    found = diff(record_of(lambda: repeated(4, 30)), record_of(lambda: repeated(2, 20)))
    (op,) = found.ops
    assert (op.presence, op.before_occurrences, op.after_occurrences) == ("both", 2, 4)
    assert op.time.change_ms == pytest.approx(0.08)
    assert op.each_ratio == pytest.approx(1.5)
    assert found.per == "trace"
    assert any("whole traces" in note.message for note in found.notes)


def test_times_are_per_step_where_both_traces_mark_steps() -> None:
    found = diff(record_of(gpu), record_of(tpu))
    assert found.per == "step"
    assert found.op_time.after_ms == pytest.approx(record_of(gpu).op_ms / 2)
    assert found.op_time.before_ms == pytest.approx(record_of(tpu).op_ms / 2)
    assert not any("whole traces" in note.message for note in found.notes)


def test_devices_against_a_host_is_not_like_with_like() -> None:
    messages = [note.message for note in diff(record_of(gpu), record_of(host)).notes]
    assert "not like with like: host time against device time" in messages


def test_a_profile_against_a_bare_trace_is_wrong_usage() -> None:
    for sides in ((flat(), record_of(gpu)), (record_of(gpu), flat())):
        with pytest.raises(UsageError, match="not two profiles or two traces"):
            diff(*sides)


@pytest.mark.parametrize(("by", "message"), [("device", "no rows by device"), ("kernel", "neither trace has rows")])
def test_rows_that_are_not_there_are_wrong_usage(by: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        render(diff(record_of(host), record_of(host)), View(by=by))  # type: ignore[arg-type]


def test_real_traces_of_two_writers_meet_by_kernel(real_traces: Path, tmp_path: Path) -> None:
    new, old = (str(real_traces / f"{name}.xplane.pb") for name in ("mi300_conv_legacy", "mi300_conv08"))
    said = tfopt("report", new, "--against", old, "--by", "type", "--format", "json", cwd=tmp_path)
    assert said.returncode == 0
    types = {row["name"]: row for row in json.loads(said.stdout)["types"]}
    assert types["conv_general_dilated"]["presence"] == "both"
    assert types["conv_general_dilated"]["after_occurrences"] == 15
