"""The record and page of a pruning: shares that do not lie at their ends, what is absent is not shown as nothing."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import jsonschema
import msgspec
import pytest
from prunings_for_tests import PRUNINGS, pruning

from tfopt.records.pruning import PruningRecord
from tfopt.report import render
from tfopt.report.escape import from_csv_cell
from tfopt.report.opening import open_target
from tfopt.report.plain import encode
from tfopt.report.view import View

SCHEMA = Path(__file__).parents[2] / "docs" / "schema" / "pruning.schema.json"


def _flat(record: PruningRecord) -> str:
    return " ".join(render(record, View(width=200), "table").split())


@pytest.mark.parametrize("name", PRUNINGS)
def test_json_is_the_whole_record_by_the_published_schema(name: str, tmp_path: Path) -> None:
    record = PRUNINGS[name]()
    text = render(record, View(top=1), "json")
    assert msgspec.json.decode(text, type=PruningRecord) == record
    jsonschema.validate(json.loads(text), json.loads(SCHEMA.read_text()))
    (tmp_path / "kept.json").write_text(text)
    assert open_target(tmp_path / "kept.json").record == record


def test_csv_has_every_weight_and_its_exact_numbers() -> None:
    record = PRUNINGS["pruning-hostile"]()
    rows = list(csv.DictReader(io.StringIO(render(record, View(top=1), "csv"))))
    assert [from_csv_cell(row["path"]) for row in rows] == [each.path for each in record.variables]
    for row, each in zip(rows, record.variables, strict=True):
        kept = (int(row["size"]), int(row["kept"]), int(row["removed"]), int(row["zeros"]), int(row["zeros_before"]))
        assert kept == (each.size, each.size - each.removed, each.removed, each.zeros, each.zeros_before)
        assert float(row["removed_share"]) == each.removed / each.size


@pytest.mark.parametrize(
    ("removed", "shares"),
    [
        (0, "removed 0 % of 10.0 k prunable weights, 100 % remain"),
        (1, "removed <0.1 % of 10.0 k prunable weights, >99.9 % remain"),
        (9999, "removed >99.9 % of 10.0 k prunable weights, <0.1 % remain"),
        (10_000, "removed 100 % of 10.0 k prunable weights, 0 % remain"),
        (5000, "removed 50.0 % of 10.0 k prunable weights, 50.0 % remain"),
    ],
)
def test_nothing_and_everything_are_said_of_nothing_else(removed: int, shares: str) -> None:
    rows = (msgspec.structs.replace(pruning().variables[0], size=10_000, removed=removed),)
    assert shares in _flat(msgspec.structs.replace(pruning(), variables=rows))


def test_a_threshold_that_takes_about_half_is_not_remarked_upon() -> None:
    record = PRUNINGS["pruning-collapsed"]()
    assert "0.0412 would remove 50.0 %, 0.0897 would remove 80.0 %" in _flat(record)
    rows = tuple(msgspec.structs.replace(row, removed=row.size // 2) for row in record.variables)
    assert "0.0897" not in _flat(msgspec.structs.replace(record, variables=rows))


def test_it_is_never_said_that_a_mask_makes_anything_faster_or_smaller() -> None:
    record = pruning()
    assert "Masks alone make nothing faster, and without --compress no file smaller" in _flat(record)
    deflated = msgspec.structs.replace(record, run=msgspec.structs.replace(record.run, compress=True))
    assert "Masks alone make nothing faster: zeros" in _flat(deflated)
    alone = msgspec.structs.replace(record, latency=None)
    assert "Masks alone make nothing faster" in _flat(alone)
    assert "Measured" not in _flat(alone)
    assert "time per example" not in _flat(alone)


def test_before_and_after_stand_beside_each_other() -> None:
    text = _flat(pruning())
    assert "accuracy 97.85 % → 97.41 %" in text.split("Written to")[0]
    assert "on the same 1,792 samples of valid.npz" in text
    assert "accuracy 97.85 % 97.41 % −0.44 points −0.91 to +0.02" in text
    assert "parameters not zero 14,490 3,862 0.27 ×" in text
    assert "file, deflated 58.0 kB 19.8 kB 0.34 ×" in text
    assert "time per example 0.100 ms 0.101 ms 1.01 × 0.98 to 1.04" in text


def test_a_dry_run_does_not_say_that_it_trained() -> None:
    record = pruning()
    assert "epochs of fine-tuning" in _flat(record)
    dry = _flat(msgspec.structs.replace(record, run=msgspec.structs.replace(record.run, dry_run=True), epochs=()))
    assert "fine-tuning" not in dry
    assert "recalibrated" not in dry


def test_the_weight_that_bears_least_is_named_first() -> None:
    """By accuracy the lowest, by a loss the highest; none where a value is not known."""
    record = PRUNINGS["pruning-sensitivity"]()
    first = "without 90.0 % of conv/kernel the accuracy is 40.0 %, of wide/kernel 97.0 %"
    assert first in _flat(record)
    loss = msgspec.structs.replace(record, sensitivity_metric="mse on 9 samples")
    assert "without 90.0 % of wide/kernel the mse is 0.97, of conv/kernel 0.4" in _flat(loss)
    points = tuple(msgspec.structs.replace(point, value=None) for point in record.sensitivity)
    assert "sensitivity of 2 weights" in _flat(msgspec.structs.replace(record, sensitivity=points))


def test_a_metric_that_is_not_known_is_not_shown_as_unchanged() -> None:
    drift = pruning().drift
    assert drift is not None
    none = msgspec.structs.replace(drift, metrics=())
    text = _flat(msgspec.structs.replace(pruning(), drift=none))
    assert "What it does to the metric is not known: none could be measured on valid.npz" in text
    run = msgspec.structs.replace(pruning().run, data="synthetic", eval_data=None)
    assert "not known: there are no data with" in _flat(msgspec.structs.replace(pruning(), run=run, drift=none))
    assert "97.0 % of decisions agree" in text
    failed = msgspec.structs.replace(drift, failure="it crashed")
    assert "What it does to the result is not known: it crashed" in _flat(
        msgspec.structs.replace(pruning(), drift=failed)
    )
    odd = msgspec.structs.replace(
        drift.metrics[0], reference=0.9, variant=None, difference=None, low=None, high=None, nonfinite=7
    )
    text = _flat(msgspec.structs.replace(pruning(), drift=msgspec.structs.replace(drift, metrics=(odd,))))
    assert "accuracy 90.00 % → not finite" in text
    assert "1,792 samples of valid.npz; 7 of them not finite" in text


def test_a_curve_is_readable_in_ascii() -> None:
    text = render(PRUNINGS["pruning-sensitivity"](), View(width=100), "table")
    assert "██▇▁?" in text.replace(" ", "")
    assert b"##" in encode(text, "ascii")
    assert b"_?" in encode(text, "ascii")
