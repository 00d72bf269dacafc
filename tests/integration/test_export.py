"""Files for other tools, made from real runs and read by readers of these tools' rules."""

from __future__ import annotations

import csv
import io
import math
from collections import Counter, defaultdict
from typing import Any

import pytest
import tensorflow as tf
from profiled import profiled

import tfopt
from bench.zoo import ZOO
from tests.readers import read_chrome, read_speedscope
from tests.unit.records_for_tests import RECORDS
from tfopt.records.profile import ProfileRecord
from tfopt.report.view import BY, View

MODES: dict[str, dict[str, Any]] = {"graph": {}, "xla": {"xla": True}, "eager": {"eager": True}}
NETS = [("transformer", "graph"), ("transformer", "xla"), ("rnn", "graph"), ("nested_shared", "eager")]


@pytest.fixture(scope="module", params=NETS, ids="-".join)
def record(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ProfileRecord:
    name, mode = request.param
    return profiled(
        ZOO[name](), steps=3, trace_steps=2, batch_size=8, run_dir=tmp_path_factory.mktemp("runs"), **MODES[mode]
    )


def test_a_flame_graph_has_every_millisecond_where_the_tables_have_it(record: ProfileRecord) -> None:
    profiles = read_speedscope(tfopt.render(record, format="speedscope"))
    sums = {name: math.fsum(weight for _, weight in stacks) for name, stacks in profiles.items()}
    assert sums.pop("step") == pytest.approx(record.step.median_ms)
    assert sums == {row.phase: pytest.approx(row.ms) for row in record.phases if row.ms and row.phase != "idle"}
    wide: defaultdict[str, float] = defaultdict(float)
    for stack, weight in profiles["step"]:
        for path in {file for _, file in stack if file}:
            wide[path] += weight
    rows = {row.path: row.total_ms for row in record.layers if row.total_ms and row.path != "(idle)"}
    assert wide == {path: pytest.approx(ms) for path, ms in rows.items()}


def test_a_chrome_trace_has_every_event_of_the_steps_and_its_layer(record: ProfileRecord) -> None:
    (steps, numbered), *tracks = read_chrome(tfopt.render(record, format="chrome"))
    assert (steps, [slice.name for slice in numbered]) == ("steps", ["step 0", "step 1"])
    lengths = sorted(slice.end - slice.start for slice in numbered)
    assert sum(lengths) / 2e6 == pytest.approx(record.step.traced_ms, rel=0.1)
    shown: Counter[tuple[str, str, str, str]] = Counter()
    for name, slices in tracks:
        for slice in slices:
            assert any(slice.start < step.end and step.start < slice.end for step in numbered)
            if not name.startswith("asynchronous"):  # continues what its thread has shown
                shown[(slice.name, slice.args["type"], slice.args["layer"], slice.category)] += 1
    expected: Counter[tuple[str, str, str, str]] = Counter()
    for op in record.ops:
        expected[(op.name, op.type, op.layer, op.phase)] += round(op.per_step * record.trace.steps)
    assert shown == +expected


@pytest.mark.parametrize("by", BY)
@pytest.mark.parametrize("name", RECORDS)
def test_tensorflow_reads_the_same_cells_from_a_csv(name: str, by: Any) -> None:
    header, *rows = csv.reader(io.StringIO(text := tfopt.render(RECORDS[name](), View(by=by), "csv")))
    columns = tf.io.decode_csv(text.splitlines()[1:], [[""]] * len(header))
    cells = [[cell.decode() for cell in column.numpy()] for column in columns]
    assert [list(row) for row in zip(*cells, strict=True)] == rows
