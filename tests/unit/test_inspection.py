"""The record and the page of an inspected model: everything adds up, in every view."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import jsonschema
import msgspec
import pytest
from inspections_for_tests import INSPECTIONS, hostile, layer, plain, record

from tfopt.errors import UsageError
from tfopt.records.inspection import CostTotals, InspectionRecord
from tfopt.report import render
from tfopt.report.escape import from_csv_cell
from tfopt.report.inspection_page import page
from tfopt.report.opening import open_target
from tfopt.report.view import View

SCHEMA = Path(__file__).parents[2] / "docs" / "schema" / "inspection.schema.json"


def _csv(made: InspectionRecord, by: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(render(made, View(by=by), "csv"))))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", INSPECTIONS)
def test_json_is_the_whole_record_by_the_published_schema(name: str) -> None:
    made = INSPECTIONS[name]()
    text = render(made, View(top=1), "json")
    assert msgspec.json.decode(text, type=InspectionRecord) == made
    jsonschema.validate(json.loads(text), json.loads(SCHEMA.read_text()))


def test_totals_are_the_sums_of_the_layers() -> None:
    totals = CostTotals.of([layer("a", "X", 3), layer("b", "X", 4)])
    assert (totals.params, totals.macs, totals.flops) == (7, 7 * 32, 7 * (65 + 129 + 12))
    assert totals.moved_bytes == 7 * (9 + 17 + 28)
    assert CostTotals.of([]) == CostTotals()


def test_csv_holds_every_layer_with_all_that_is_inside_it() -> None:
    made = plain()
    rows = {from_csv_cell(row["path"]): row for row in _csv(made, "layer")}
    assert list(rows) == [row.path for row in made.layers]
    assert int(rows["net"]["flops"]) == made.totals.flops
    assert int(rows["net/backbone"]["params"]) == 10_000 * 28
    assert int(rows["net/lstm"]["macs"]) == int(rows["net/lstm/lstm_cell"]["macs"]) == 32 * 200_000
    assert float(rows["net"]["share"]) == 1.0
    assert rows["net/odd"]["detail"] == "not counted: Frobnicate ops"
    assert rows["net/aux"]["source"] == "none"


def test_names_come_back_from_csv() -> None:
    made = hostile()
    rows = _csv(made, "layer")
    assert [from_csv_cell(row["path"]) for row in rows] == [row.path for row in made.layers]
    assert [from_csv_cell(row["type"]) for row in rows] == [row.type for row in made.layers]


def test_types_add_up() -> None:
    made = plain()
    rows = _csv(made, "type")
    assert sum(int(row["flops"]) for row in rows) == made.totals.flops
    assert sum(float(row["share"]) for row in rows) == pytest.approx(1.0)
    assert {row["type"]: int(row["layers"]) for row in rows}["Conv2D"] == 7


def test_what_the_tree_leaves_out_is_in_its_rest() -> None:
    """The root's sum is that of the shown leaves and the rest."""
    lines = render(plain(), View(top=3)).partition("\nLayers")[2].splitlines()
    assert [line.split()[0] for line in lines if "LSTM" in line or "backbone" in line] == ["backbone", "lstm"]
    assert any(line.startswith("12 more") for line in lines)


def test_phases_are_those_of_the_mode() -> None:
    training = render(plain(), View(by="phase"))
    assert [word for word in ("forward ", "backward", "optimizer") if word in training.partition("Phases")[2]] == [
        "forward ",
        "backward",
        "optimizer",
    ]
    assert "backward" not in render(hostile(), View(by="phase"))
    assert "training step" not in render(hostile())


def test_the_screen_says_what_its_numbers_hold_for() -> None:
    said = " ".join(render(plain()).split())
    for phrase in ("train step", "CPU, 2 threads", "float32", "graph", "batch 32", "seed 7", "loss mean_squared_error"):
        assert phrase in said, phrase
    compiled = msgspec.structs.replace(plain(), run=msgspec.structs.replace(plain().run, xla=True))
    assert "XLA" in render(compiled)


def test_the_first_that_is_said_of_a_limit_is_what_fits_into_it() -> None:
    made = next(one for one in (make() for make in INSPECTIONS.values()) if one.limit is not None)
    assert page(made, View()).answer[0].startswith("batch 2816 fits into 8GiB")
    assert page(made, View()).tone == "good"
    none = msgspec.structs.replace(made.limit, batch_size=None, measured_bytes=None)
    without = page(msgspec.structs.replace(made, limit=none), View())
    assert (without.answer[0].partition(" that fits")[0], without.tone) == ("no batch was found", "alarm")


def test_two_kinds_of_activations_have_two_names() -> None:
    said = " ".join(render(plain()).split())
    assert "forward outputs" in said
    assert said.count("activations") == 1  # the part of the memory at the peak


def test_a_model_without_work_has_no_shares() -> None:
    empty = record([layer("net", "Functional"), layer("net/flatten", "Flatten")])
    assert "0 FLOP forward per example" in render(empty)


def test_ops_are_not_what_an_inspection_has() -> None:
    with pytest.raises(UsageError, match="an inspected model has no rows by op"):
        render(plain(), View(by="op"))


@pytest.mark.parametrize("format", ["speedscope", "chrome"])
def test_formats_of_runs_are_refused(format: str) -> None:
    with pytest.raises(UsageError, match="shows profiled runs only"):
        render(plain(), format=format)


def test_report_opens_an_inspection(tmp_path: Path) -> None:
    file = tmp_path / "costs.json"
    file.write_text(render(plain(), format="json"))
    assert open_target(file).record == plain()
