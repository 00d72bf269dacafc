"""The records and pages of gradients: sums are sums, what is absent is not zero, names come back."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path

import jsonschema
import msgspec
import pytest
from gradients_for_tests import GRADCHECKS, GRADIENTS, gradcheck, gradients, variable

from tfopt.records.gradcheck import GradcheckRecord
from tfopt.records.gradients import GradientsRecord
from tfopt.report import render
from tfopt.report.escape import from_csv_cell
from tfopt.report.opening import open_target
from tfopt.report.view import View

SCHEMAS = Path(__file__).parents[2] / "docs" / "schema"


def _csv(record: GradientsRecord | GradcheckRecord) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(render(record, View(), "csv"))))


@pytest.mark.parametrize("name", [*GRADIENTS, *GRADCHECKS])
def test_json_is_the_whole_record_by_the_published_schema(name: str, tmp_path: Path) -> None:
    record = {**GRADIENTS, **GRADCHECKS}[name]()
    text = render(record, View(top=1), "json")
    assert msgspec.json.decode(text, type=type(record)) == record
    jsonschema.validate(json.loads(text), json.loads((SCHEMAS / f"{name.partition('-')[0]}.schema.json").read_text()))
    (tmp_path / "kept.json").write_text(text)
    assert open_target(tmp_path / "kept.json").record == record


def test_a_layer_has_the_norm_of_all_that_is_in_it() -> None:
    rows = {from_csv_cell(row["path"]): row for row in _csv(gradients())}
    assert float(rows["net/body"]["norm"]) == pytest.approx(math.hypot(0.3, 0.04))
    assert float(rows["net/body/conv"]["largest"]) == 0.15
    assert float(rows["net/body/conv"]["zero_share"]) == (28 + 3) / 320
    ratio = math.hypot(0.3, 0.04) / math.hypot(math.sqrt(288) / 4, math.sqrt(32) / 4)
    assert float(rows["net/body/conv"]["ratio"]) == pytest.approx(ratio)


def test_shares_of_variables_add_up() -> None:
    for row in (rows := _csv(GRADIENTS["gradients-modified"]())):
        assert row["share"]
    assert sum(float(row["share"]) for row in rows if row["type"] == "variable") == pytest.approx(1)
    assert float(rows[0]["share"]) == pytest.approx(1)


def test_what_is_absent_or_not_finite_is_no_zero() -> None:
    rows = {from_csv_cell(row["path"]): row for row in _csv(gradients())}
    for path, remark in (("net/aux/kernel", "no gradient"), ("net/odd/gain", "not finite")):
        assert (rows[path]["norm"], rows[path]["largest"], rows[path]["remark"]) == ("", "", remark)
    assert rows["net"]["norm"] == ""
    said = " ".join(render(gradients()).split())
    for phrase in ("gradient norm not finite", "3 elements not finite", "no gradient for 1 variable"):
        assert phrase in said, phrase


def test_no_gradient_at_all_is_not_one_that_is_not_finite() -> None:
    (row,) = (row for row in gradients().variables if row.gradient is None)
    said = render(msgspec.structs.replace(gradients(), variables=(row,)))
    assert "no gradient for 1 variable" in said
    assert "gradient norm" not in said
    assert "no exact zeros" not in said
    blocked = msgspec.structs.replace(GRADIENTS["gradients-modified"](), variables=(variable("net", "kernel", 9, 1.0),))
    assert "gradient norm not finite" not in " ".join(render(blocked).split())


def test_what_modification_takes_away_is_told() -> None:
    rows = {from_csv_cell(row["path"]): row for row in _csv(GRADIENTS["gradients-modified"]())}
    assert float(rows["net/conv_1/kernel"]["change"]) == pytest.approx(0.5)
    assert rows["net/step/kernel"]["norm_after"] == ""
    assert rows["net/step/kernel"]["remark"] == "blocked"
    assert rows["net"]["change"] == ""  # of what arrives and of all there is nothing to compare


def test_the_worst_checks_come_first_and_fail() -> None:
    record = gradcheck()
    assert {check.verdict for check in record.failed} == {"disagrees", "no gradient", "not finite"}
    assert {row["verdict"] for row in _csv(record)[:3]} == {check.verdict for check in record.failed}
    assert [row["verdict"] for row in _csv(record)][3] == "undecided"
    assert "3 of 10 gradients wrong" in render(record)
    assert not gradcheck(sound=True).failed
    assert "6 gradients right" in render(gradcheck(sound=True))
    unsure = msgspec.structs.replace(record, checks=tuple(each for each in record.checks if each not in record.failed))
    assert "6 of 7 gradients right   1 undecided" in render(unsure)


def test_names_come_back_from_csv() -> None:
    record = GRADCHECKS["gradcheck-hostile"]()
    assert sorted(from_csv_cell(row["path"]) for row in _csv(record)) == sorted(check.path for check in record.checks)
