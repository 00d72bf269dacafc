"""JSON, CSV and Markdown can be read back, by the tools that people read them with."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
from records_for_tests import RECORDS, flat, hostile
from traces_for_tests import gpu, record_of

from tfopt.errors import UsageError
from tfopt.records.profile import Bound, LayerRow, OpRow, ProfileRecord
from tfopt.records.schema import PUBLISHED, schema_text
from tfopt.report import FORMATS, format_of, render
from tfopt.report.escape import from_csv_cell
from tfopt.report.view import BY, View

SCHEMAS = Path(__file__).parents[2] / "docs" / "schema"


@pytest.mark.parametrize("name", RECORDS)
@pytest.mark.parametrize("view", [View(), View(by="op", top=1, depth=0, width=20, color=True)])
def test_json_is_the_whole_record_by_the_published_schema(name: str, view: View) -> None:
    record = RECORDS[name]()
    text = render(record, view, "json")
    assert msgspec.json.decode(text, type=ProfileRecord) == record
    schema = json.loads((SCHEMAS / "profile.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads(text), schema)
    assert next(iter(json.loads(text))) == "schema"


@pytest.mark.parametrize("file", PUBLISHED)
def test_the_published_schema_is_that_of_the_records(file: str) -> None:
    assert (SCHEMAS / file).read_text() == schema_text(PUBLISHED[file]), "run `make schema`"


def test_the_schema_refuses_what_is_no_record() -> None:
    schema = json.loads((SCHEMAS / "profile.schema.json").read_text())
    for change in ({"schema": "tfopt.profile/2"}, {"layers": 3}, {"step": {}}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(json.loads(render(hostile(), format="json")) | change, schema)


def test_half_a_surrogate_pair_does_not_stop_json() -> None:
    model = msgspec.structs.replace(hostile().model, name="bad\ud800name")
    text = render(msgspec.structs.replace(hostile(), model=model), format="json")
    assert json.loads(text)["model"]["name"] == "bad\ufffdname"


def _csv(record: ProfileRecord, by: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(render(record, View(by=by), "csv"))))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", RECORDS)
def test_csv_of_layers_comes_back_exactly(name: str) -> None:
    record = RECORDS[name]()
    rows = _csv(record, "layer")
    assert [from_csv_cell(row["path"]) for row in rows] == [row.path for row in record.layers]
    assert [_typed(row, LayerRow) for row in rows] == list(record.layers)
    assert math.fsum(float(row["share"]) for row in rows) == pytest.approx(1)


def _typed(row: dict[str, str], kind: type[Any]) -> Any:
    texts = {"path", "type", "source", "name", "layer", "phase"}
    known = {key: value for key, value in row.items() if value or key in texts}  # an empty number is not known
    return msgspec.convert(
        {key: from_csv_cell(value) if key in texts else value for key, value in known.items()}, kind, strict=False
    )


@pytest.mark.parametrize("name", RECORDS)
def test_csv_of_ops_comes_back_and_ends_with_the_idle_time(name: str) -> None:
    record = RECORDS[name]()
    *rows, last = _csv(record, "op")
    members = ({**row, "members": ()} for row in rows)
    ranked = sorted(record.ops, key=lambda op: (-op.self_ms, op.name))
    expected = [msgspec.structs.replace(op, charges=()) for op in ranked]  # only the JSON holds these
    assert [_typed({k: v for k, v in row.items() if k != "cumulative"}, OpRow) for row in members] == expected  # type: ignore[arg-type]
    assert last["type"] == "(idle)"
    assert float(last["share"]) == record.coverage.idle


@pytest.mark.parametrize("by", BY)
def test_csv_is_a_rectangle_of_every_row_whatever_the_view(by: str) -> None:
    full = render(hostile(), View(by=by), "csv")  # type: ignore[arg-type]
    assert render(hostile(), View(by=by, top=1, depth=0, width=20, color=True), "csv") == full  # type: ignore[arg-type]
    rows = list(csv.reader(io.StringIO(full)))
    assert len({len(row) for row in rows}) == 1
    assert len(rows) == len(full.splitlines())


@pytest.mark.parametrize("name", RECORDS)
@pytest.mark.parametrize("by", BY)
def test_markdown_tables_are_rectangles_with_complete_names(name: str, by: str) -> None:
    record = RECORDS[name]()
    text = render(record, View(by=by, top=0, run_dir="runs/x"), "md")  # type: ignore[arg-type]
    assert text.splitlines()[0].startswith("# ")
    assert "…" not in text
    assert "\x1b" not in text
    tables = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
    assert len(tables) >= 2
    for table in tables:
        cells = {len(re.split(r"(?<!\\)\|", line)) for line in table}
        assert len(cells) == 1
        assert re.fullmatch(r"\|( :?--:? \|)+", table[1])


def test_formats_are_found_by_extension() -> None:
    found = {ext: format_of(f"a/b.c.{ext}").name for ext in ("txt", "JSON", "csv", "md", "markdown", "Chrome.json")}
    others = {format_of(f"a.{ext}").name for ext in ("speedscope.json", "junit.xml", "xml", "github.txt")}
    assert {*found.values(), *others} == set(FORMATS)
    assert (found["JSON"], found["Chrome.json"]) == ("json", "chrome")
    assert format_of("speedscope.json").name == format_of("my-chrome.json").name == "json"
    with pytest.raises(UsageError, match="no report format has this extension"):
        format_of("report.pdf")


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_shows_a_trace_or_says_that_it_cannot(format: str) -> None:
    if FORMATS[format].only:
        with pytest.raises(UsageError, match=r"shows (profiled runs|checks) only"):
            render(record_of(gpu), format=format)
    else:
        assert render(record_of(gpu), format=format)


def test_a_run_from_before_the_roofline_is_shown_without_it() -> None:
    old = msgspec.to_builtins(flat())
    del old["machine"]
    added = ("flops", "moved_bytes", "gflops_per_s", "intensity", "bound", "roof_share")
    old["layers"] = [{key: value for key, value in row.items() if key not in added} for row in old["layers"]]
    record = msgspec.convert(old, ProfileRecord)
    assert (record.machine, record.layers[1].flops) == (None, None)
    for format in ("table", "md"):
        shown, before = render(flat(), View(), format), render(record, View(), format)
        assert all(word in shown and word not in before for word in ("GFLOP/s", "of roof", "bound by", "roofs of this"))


@pytest.mark.parametrize(
    ("bound", "share", "told"), [("memory", 2.3, True), ("memory", 0.9, False), ("compute", 1.2, False)]
)
def test_more_than_memory_can_give_is_explained(bound: Bound, share: float, told: bool) -> None:
    record = flat()
    layers = (msgspec.structs.replace(record.layers[1], bound=bound, roof_share=share), *record.layers[2:])
    record = msgspec.structs.replace(record, layers=(record.layers[0], *layers))
    for format, width in (("table", 160), ("table", 80), ("md", 80)):
        shown = " ".join(render(record, View(top=0, width=width), format).split())
        seen = told and "of roof" in shown
        assert ("Above 100 %: tensors stay in caches, which are faster than memory" in shown) == seen
        assert ("of roof" in shown) == (width == 160 or format == "md")
