"""A diagnosis as a page: how many problems, each with what mends it, then what to know, then what is fine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tfopt.records.diagnosis import DiagnosisRecord, Finding, Status
from tfopt.report.page import Column, Page, Table
from tfopt.report.view import View
from tfopt.wording import counted

__all__ = ["page"]

_TITLES: dict[Status, str] = {"problem": "Problems", "note": "Notes", "unknown": "Not checked"}
_COLUMNS = (Column("id", "check", "text"), Column("found", "found", "prose"), Column("mend", "mend", "command"))


def page(record: DiagnosisRecord, view: View) -> Page:
    """What to show of `record`."""
    return Page(
        title=record.target or "this environment",
        answer=_answer(record),
        tone="alarm" if record.of("problem") else "good",
        facts=(),
        tables=(_every(record), *_bad(record), *_fine(record.of("ok"))),
        footer=(("show", record.command),) if record.command else (),
    )


def _answer(record: DiagnosisRecord) -> tuple[str, ...]:
    problems, notes, unknown, fine = (len(record.of(status)) for status in (*_TITLES, "ok"))
    if not problems + notes + unknown:
        return "everything is in order", f"{fine} checks"
    words = (
        counted(problems, "problem") if problems else "no problem",
        counted(notes, "note") if notes else "",
        f"{unknown} not checked" if unknown else "",
        f"{fine} fine",
    )
    return tuple(filter(None, words))


def _every(record: DiagnosisRecord) -> Table:
    """All findings, for programs."""
    columns = (_COLUMNS[0], Column("status", "status", "text"), *_COLUMNS[1:])
    rows = tuple((one.id, one.status, one.found, one.mend) for one in record.findings)
    return Table("Findings", "", columns, rows, quiet=True)


def _bad(record: DiagnosisRecord) -> Iterator[Table]:
    for status, title in _TITLES.items():
        rows = tuple((one.id, one.found, one.mend) for one in record.of(status))
        if rows:
            yield Table(title, "", _COLUMNS, rows)


def _fine(findings: Sequence[Finding]) -> Iterator[Table]:
    """One row per family."""
    families = dict.fromkeys(one.family for one in findings)
    rows = tuple((family, " · ".join(one.found for one in findings if one.family == family)) for family in families)
    if rows:
        yield Table("Fine", "", (Column("family", "family", "text"), _COLUMNS[1]), rows)
