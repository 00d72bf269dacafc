"""What a check tells programs: every gate arrives with its verdict, and no name acts as anything but a name."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import msgspec
import pytest
from checks_for_tests import CHECKS, MEANT, passed

from tests.readers import read_junit, read_workflow_commands
from tfopt.records.check import CheckRecord, LayerChange
from tfopt.report import render
from tfopt.report.escape import visible
from tfopt.report.gates import told_of, troubles
from tfopt.report.opening import open_target
from tfopt.report.quantities import quantity
from tfopt.report.step_summary import VARIABLE, with_step_summary
from tfopt.report.view import View

OUTCOMES = {"FAIL": "failure", "ERROR": "error", "INCONCLUSIVE": "skipped", "NEW": "skipped"}


@pytest.mark.parametrize("name", CHECKS)
def test_junit_has_every_gate_and_every_model_that_ended(name: str) -> None:
    record = CHECKS[name]()
    suites = read_junit(render(record, format="junit"))
    assert list(suites) == list(dict.fromkeys(visible(model.label) for model in record.models))
    for model in record.models:
        cases = suites[visible(model.label)]
        assert [case[1] for case in cases] == [gate.name for gate in model.gates] + ["runs"] * bool(model.ending)
        for gate, (owner, _, outcome, message) in zip(model.gates, cases, strict=False):
            assert owner == f"{visible(model.label)}.{gate.kind}"
            assert outcome == OUTCOMES.get(gate.verdict, "")
            skipped = f"{gate.verdict}: " if outcome == "skipped" else ""
            assert message == (skipped + visible(gate.message) if outcome else "")
        if model.ending:
            assert cases[-1][2:] == ("error", visible(model.failure))


@pytest.mark.parametrize("name", CHECKS)
def test_an_annotation_for_whatever_did_not_pass_and_for_nothing_else(name: str) -> None:
    record = CHECKS[name]()
    commands = read_workflow_commands(render(record, format="github"))
    wrong = [
        gate.message
        for model in record.models
        for gate in model.gates
        if gate.verdict in OUTCOMES and gate.verdict != "NEW" and gate.message != model.failure
    ]
    new = {gate.message.rpartition("; ")[2] for model in record.models for gate in model.gates if gate.verdict == "NEW"}
    assert len(commands) == len(wrong) + len(new) + sum(bool(model.ending) for model in record.models)
    assert {command for command, _, _ in commands} <= {"error", "warning", "notice"}
    assert all(list(properties) == ["title"] for _, properties, _ in commands)
    messages = [message.split("\n")[0] for _, _, message in commands]
    assert sorted(messages) == sorted(
        visible(text)
        for text in (
            *wrong,
            *new,
            *(model.failure for model in record.models if model.ending),
        )
    )


@pytest.mark.parametrize("width", [40, 60, 80, 120, None])
@pytest.mark.parametrize("format", ["table", "md", "csv", "junit", "json"])
def test_no_name_acts(format: str, width: int | None) -> None:
    """Printed in a job of GitHub's, a line that begins with `::` would be a command, whatever its format."""
    text = render(CHECKS["check-hostile"](), View(top=0, width=width), format)
    assert read_workflow_commands(text) == []
    assert all(line.isprintable() for line in text.split("\n")) or format == "json"
    assert "\x1b" not in text
    assert "##[" not in text or format != "table"  # the older form, which may stand anywhere in a line
    if format == "md":
        assert "<" not in re.sub(r"(`+) ?.*? ?\1", "", text).replace(r"\<", "")
    if format == "junit":
        assert "]]>" not in text
        assert "<script" not in text
    if format == "csv":
        rows = list(csv.reader(io.StringIO(text)))
        assert not any(cell.startswith(("=", "+", "-", "@")) for row in rows[1:] for cell in row if not _number(cell))


def _number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def test_json_gives_every_name_back() -> None:
    record = CHECKS["check-hostile"]()
    model = msgspec.convert(json.loads(render(record, format="json")), CheckRecord).models[-1]
    kept = [name for name in MEANT if name.isprintable() or name.isascii()]
    assert len(kept) > 10
    assert {name for gate in model.gates for name in (gate.layers[0].path,)} >= set(kept)


@pytest.mark.parametrize(
    ("code", "verdicts", "word"),
    [
        (0, ("PASS", "IMPROVED"), "PASS"),
        (0, ("PASS", "INCONCLUSIVE"), "INCONCLUSIVE"),
        (0, ("NEW",), "NEW"),
        (0, (), "INCONCLUSIVE"),
        (0, ("PASS", "NEW"), "PASS"),
        (5, ("INCONCLUSIVE",), "INCONCLUSIVE"),
        (1, ("FAIL", "INCONCLUSIVE"), "FAIL"),
        (3, ("PASS",), "UNREADABLE"),
        (4, ("FAIL",), "ERROR"),
    ],
)
def test_the_first_word_is_the_verdict(code: int, verdicts: tuple[str, ...], word: str) -> None:
    record = passed()
    (model,) = record.models
    gates = tuple(msgspec.structs.replace(model.gates[0], verdict=verdict) for verdict in verdicts)
    changed = msgspec.structs.replace(
        record, exit_code=code, models=(msgspec.structs.replace(model, gates=gates, exit_code=code),)
    )
    assert render(changed, View(width=80)).splitlines()[2].split()[0] == word


@pytest.mark.parametrize(
    ("reference", "told"), [(2.0, ("a 1 → 2", "b is new (3)", "c is gone (4)")), (None, ("a 2", "b 3", "c "))]
)
def test_layers_are_new_only_where_there_was_something_before(reference: float | None, told: tuple[str, ...]) -> None:
    (model,) = passed().models
    layers = tuple(
        LayerChange(path=path, type="Dense", before=before, after=after)
        for path, before, after in (("a", 1.0, 2.0), ("b", None, 3.0), ("c", 4.0, None))
    )
    gate = msgspec.structs.replace(model.gates[0], verdict="FAIL", reference=reference, layers=layers)
    assert told_of(model, gate).layers == told


def test_layers_of_a_time_are_told_by_what_explains_it() -> None:
    """Seen: FLOPs of layers in the unit of the gate, `455527424.000 ×`."""
    (model,) = passed().models
    layers = (LayerChange(path="late", type="Conv2D", before=57e6, after=456e6),)
    gate = msgspec.structs.replace(model.gates[-1], verdict="FAIL", layers_fact="step_flops", layers=layers)
    assert told_of(model, gate).layers == ("late 57.0 M FLOPs → 456 M FLOPs",)
    drop = msgspec.structs.replace(gate, kind="accuracy", unit="share", layers_fact="params")
    assert told_of(model, drop).layers == ("late params 57,000,000 → 456,000,000",)


def test_a_time_that_was_cut_short_says_so() -> None:
    (model,) = passed().models
    gate = msgspec.structs.replace(model.gates[-1], verdict="INCONCLUSIVE")
    hints = {}
    for ended in ("time", "decided"):
        duel = msgspec.structs.replace(model.duel, ended=ended)
        hints[ended] = told_of(msgspec.structs.replace(model, duel=duel), gate).hint
    assert hints["decided"] == ""
    assert "--max-time" in hints["time"]


def test_what_is_accepted_is_no_trouble() -> None:
    record = passed()
    (model,) = record.models
    gates = tuple(
        msgspec.structs.replace(gate, verdict="NEW", message=f"{gate.name}: 1; nothing yet") for gate in model.gates
    )
    record = msgspec.structs.replace(record, models=(msgspec.structs.replace(model, gates=gates),))
    (told,) = troubles(record)
    assert (told.verdict, told.name, told.message) == ("NEW", "3 gates", "nothing yet")
    assert "--update" in told.hint
    accepted = msgspec.structs.replace(record, run=msgspec.structs.replace(record.run, updated=True))
    assert list(troubles(accepted)) == []
    assert render(accepted, View(width=80)).splitlines()[2].split()[0] == "ACCEPTED"
    assert read_workflow_commands(render(accepted, format="github")) == []


def test_a_saved_check_can_be_shown_again(tmp_path: Path) -> None:
    file = tmp_path / "check.json"
    file.write_text(render(CHECKS["check-failed"](), format="json"))
    assert open_target(file).record == CHECKS["check-failed"]()


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (3000001, "", "3,000,001"),
        (94255.22, "", "94,255.2"),
        (0.9999999, "", "0.999999"),
        (0.79996, "share", "80 %"),
        (0.79954, "share", "79.95 %"),
        (-0.0025, "share", "−0.25 %"),
        (3.2e-7, "share", "3.2e-05 %"),
        (float("inf"), "bytes", "?"),
        (0.5, "", "0.5"),
        (0.0, "share", "0 %"),
        (0.8, "share", "80 %"),
        (1.0412, "ratio", "1.041 ×"),
        (5.5e6, "bytes", "5.50 MB"),
        (2.5, "s", "2.50 s"),
        (1.25e9, "FLOPs", "1.25 G FLOPs"),
        (None, "", ""),
    ],
)
def test_quantities(value: float | None, unit: str, text: str) -> None:
    assert quantity(value, unit) == text


def test_the_step_summary_is_appended_where_the_runner_asks_for_it(tmp_path: Path) -> None:
    file = tmp_path / "summary.md"
    file.write_text("before\n")
    assert with_step_summary(passed(), {}) == passed()
    assert with_step_summary(passed(), {VARIABLE: str(file)}) == passed()
    assert file.read_text() == "before\n" + render(passed(), format="md")


def test_a_step_summary_that_cannot_be_written_is_a_note(tmp_path: Path) -> None:
    (missing,) = with_step_summary(passed(), {VARIABLE: str(tmp_path / "no" / "summary.md")}).notes
    assert "No such file" in missing.message
    full = tmp_path / "full.md"
    full.write_bytes(b"x" * (2**20 - 100))
    (note,) = with_step_summary(passed(), {VARIABLE: str(full)}).notes
    assert "no room" in note.message
    assert full.stat().st_size == 2**20 - 100
