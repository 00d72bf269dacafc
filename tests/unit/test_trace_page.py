"""A foreign trace in every format: readable, complete, harmless."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import jsonschema
import msgspec
import pytest
from cli_for_tests import Here
from rich.cells import cell_len
from traces_for_tests import gpu, host, hostile, record_of, tpu

from tfopt.errors import UsageError
from tfopt.records.trace import TraceRecord
from tfopt.report import render
from tfopt.report.escape import from_csv_cell
from tfopt.report.page import Column, Page, Table
from tfopt.report.page_markdown import render as markdown
from tfopt.report.page_table import render as screen
from tfopt.report.view import TRACE_BY, By, View

SCHEMA = Path(__file__).parents[2] / "docs" / "schema" / "trace.schema.json"
MAKERS = {"gpu": gpu, "tpu": tpu, "host": host, "hostile": hostile}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Here:
    return Here(tmp_path, monkeypatch, capfd)


@pytest.mark.parametrize("name", MAKERS)
def test_json_is_the_whole_record_by_the_published_schema(name: str) -> None:
    record = record_of(MAKERS[name])
    text = render(record, View(by="op", top=1), "json")
    assert msgspec.json.decode(text, type=TraceRecord) == record
    jsonschema.validate(json.loads(text), json.loads(SCHEMA.read_text()))


@pytest.mark.parametrize("by", ["layer", "op", "type", "kernel", "device"])
@pytest.mark.parametrize("width", [60, 80, 120, None])
def test_strangers_names_stay_on_the_screen_and_do_nothing(by: By, width: int | None) -> None:
    text = render(record_of(hostile), View(by=by, width=width, color=True))
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    assert "\x1b" not in plain
    assert "\u202e" not in plain
    body = plain.split("\n  ! ")[0]
    assert max(map(cell_len, body.splitlines())) <= (width or 250)


@pytest.mark.parametrize("by", ["layer", "op", "type", "kernel"])
def test_names_are_complete_in_data(by: By) -> None:
    record = record_of(hostile)
    expected = {
        "layer": [row.path for row in record.scopes],
        "op": [row.name for row in record.ops],
        "type": ["Op"],
        "kernel": [row.name for row in record.kernels],
    }[by]
    header, *rows = list(csv.reader(io.StringIO(render(record, View(by=by, top=1, depth=0), "csv"))))
    assert {len(row) for row in rows} == {len(header)}
    assert [from_csv_cell(row[0]) for row in rows] == expected
    text = render(record, View(by=by, top=0), "md")
    assert "k" * 10_000 in text or by == "type"
    for block in text.split("\n\n"):
        if block.startswith("|"):
            assert len({len(re.split(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1


@pytest.mark.parametrize("name", ["gpu", "tpu", "host"])
@pytest.mark.parametrize("by", ["op", "kernel", "type", "phase"])
@pytest.mark.parametrize("top", [None, 1])
def test_the_shares_of_a_table_and_its_rest_are_all(name: str, by: By, top: int | None) -> None:
    record = record_of(MAKERS[name])
    try:
        text = render(record, View(by=by, top=top), "csv")
    except UsageError:
        assert (name, by) in {("host", "kernel"), ("tpu", "phase")}
        return
    rows = list(csv.DictReader(io.StringIO(text)))
    assert sum(float(row["share"]) for row in rows) == pytest.approx(1)
    shown = render(record, View(by=by, top=top, width=100)).splitlines()
    percents = [float(found[1]) for line in shown[6:] if (found := re.search(r" ([\d.]+) %", line))]
    assert sum(percents) == pytest.approx(100, abs=0.3)


def test_scopes_are_a_tree_and_what_is_cut_is_summed_up() -> None:
    text = render(record_of(gpu), View(width=100, depth=1))
    assert "\njit(step)  " in text
    assert "\n  Net  " in text
    assert re.search(r"1 more scopes +0\.085 +81\.0 %", text)


@pytest.mark.parametrize(
    ("maker", "by", "said"),
    [(host, "kernel", "no events of devices"), (tpu, "phase", "tells forward from backward")],
)
def test_rows_that_a_trace_does_not_have(here: Here, maker: object, by: str, said: str) -> None:
    Path("t.pb").write_bytes(maker())  # type: ignore[operator]
    done = here("report", "t.pb", "--by", by)
    assert (done.code, done.out) == (2, "")
    assert said in done.err.splitlines()[0]
    assert len(done.err.splitlines()) == 2


def test_a_run_has_no_kernels(here: Here) -> None:
    here("profile", "app:MobileNetV2")
    done = here("report", "--by", "kernel")
    assert done.code == 2
    assert done.err == (
        "error: a run of tfopt has no rows by kernel: they are for traces\nhelp:  --by takes layer, op, type, phase\n"
    )
    assert here("profile", "app:MobileNetV2", "--by", "kernel").code == 2
    assert len(here.profile.calls) == 1


def test_a_trace_is_known_by_its_content_and_shown_in_every_format(here: Here) -> None:
    Path("anything").write_bytes(gpu())
    done = here("report", "anything", "-q", "-o", "r.json", "-o", "r.csv", "-o", "r.md", "-o", "r.txt")
    assert (done.code, done.err) == (0, "")
    assert here("report", "r.json").out == here("report", "anything").out
    assert Path("r.csv").read_text().startswith("path,occurrences,forward_ms")
    assert Path("r.md").read_text().startswith("# anything: devices 63.3 % busy\n")


def test_a_log_folder_shows_its_latest_session_and_counts_the_others(here: Here) -> None:
    for at, name in enumerate(("2026_01_01_00_00_00", "2026_02_01_00_00_00", "2025_12_31_00_00_00")):
        session = Path("logs/train/plugins/profile") / name
        session.mkdir(parents=True)
        (session / "vm.xplane.pb").write_bytes(gpu() if at == 1 else host())
    done = here("report", "logs", "--verbose")
    assert "session 2026_02_01_00_00_00, the latest; 2 others beside it · host vm" in done.out
    assert done.err == "showing logs/train/plugins/profile/2026_02_01_00_00_00/vm.xplane.pb\n"
    assert "host 90.0 % busy" in here("report", "logs/train/plugins/profile/2026_01_01_00_00_00").out
    assert len(list(Path("logs").rglob("*"))) == 9


def test_a_run_s_own_record_comes_before_the_trace_in_it(here: Here) -> None:
    here("profile", "app:MobileNetV2")
    run = next(Path("runs").iterdir())
    session = run / "plugins" / "profile" / "now"
    session.mkdir(parents=True)
    (session / "vm.xplane.pb").write_bytes(gpu())
    for path in ("runs", str(run)):
        assert "/ step" in here("report", path).out
    assert "devices 63.3 % busy" in here("report", str(session / "vm.xplane.pb")).out
    (run / "record.json").unlink()
    assert "devices 63.3 % busy" in here("report", str(run)).out


@pytest.mark.parametrize("content", [b"", b"\n", b"\nhello, this is text", b"\x0a\xff\xff\xff\xff\x0f", b"{}", b"[1]"])
def test_what_is_neither_record_nor_trace_is_unreadable_input(here: Here, content: bytes) -> None:
    Path("it").write_bytes(content)
    done = here("report", "it")
    assert (done.code, done.out) == (3, "")
    assert len(done.err.splitlines()) == 2


def test_every_kind_of_value_reads_well() -> None:
    columns = (
        Column("name", "op", "name"),
        Column("n", "n", "count"),
        Column("d_ms", "Δ ms", "change_ms"),
        Column("d_share", "Δ", "change_share"),
        Column("ratio", "ratio", "ratio"),
    )
    rows = (("a|b", 3, -1.25, 0.1, 1.5), ("c", None, 0.0, None, None))
    page = Page("x vs y", ("faster",), (), (Table("Ops", "op", columns, rows),))
    assert screen(page, View()).splitlines()[4:] == [
        "Ops  n   Δ ms        Δ   ratio",
        "a|b  3  −1.25  +10.0 %  1.50 ×",
        "c        –",
    ]
    assert r"| `a\|b` | 3 | −1.25 | +10.0 % | 1.50 × |" in markdown(page, View())


def test_by_has_a_page_for_every_choice() -> None:
    for by in TRACE_BY:
        assert render(record_of(gpu), View(by=by))
