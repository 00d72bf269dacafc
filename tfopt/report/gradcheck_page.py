"""The page of checked gradients: the failing ones first, then the largest errors."""

from __future__ import annotations

from tfopt.records.gradcheck import FAILING, DirectionCheck, GradcheckRecord
from tfopt.report import units
from tfopt.report.gradients_page import circumstances, what_ran
from tfopt.report.page import Column, Page, Table, Value
from tfopt.report.summary import subject
from tfopt.report.view import View, listed
from tfopt.wording import counted

__all__ = ["page"]

_COLUMNS = (
    Column("path", "tensor", "name"),
    Column("layer", "layer", "name", quiet=True),
    Column("of", "of", "text", drop=2),
    Column("size", "size", "flops", drop=1),
    Column("derivative", "derivative", "scientific", drop=3),
    Column("difference", "difference", "scientific", drop=3),
    Column("error", "error", "scientific"),
    Column("verdict", "", "text"),
)


def page(record: GradcheckRecord, view: View) -> Page:
    """What to show of `record`."""
    title, *model = subject(record.model)
    ranked = sorted(record.checks, key=_badness)
    top = listed(view) or len(ranked)
    shown, hidden = ranked[:top], ranked[top:]
    rest: tuple[Value, ...] = (f"{len(hidden):,} more", *[None] * (len(_COLUMNS) - 1))
    return Page(
        title=title,
        answer=_answer(record),
        tone="alarm" if record.failed else "plain" if record.undecided else "good",
        facts=(tuple(model), ("everything in float64", *circumstances(record.run)), *what_ran(record.run)),
        tables=(Table("Checks", "", _COLUMNS, tuple(map(_row, shown)), (rest,) if hidden else ()),),
        notes=record.notes,
    )


def _answer(record: GradcheckRecord) -> tuple[str, ...]:
    failed, undecided, count = len(record.failed), len(record.undecided), counted(len(record.checks), "gradient")
    errors = [check.error for check in record.checks if check.error is not None]
    right = f"{len(record.checks) - undecided} of {count} right" if undecided else f"{count} right"
    return (
        f"{failed} of {count} wrong" if failed else right,
        *([f"{undecided} undecided"] if undecided else []),
        *([f"largest error {units.scientific(max(errors))}"] if errors else []),
        f"tolerance {units.scientific(record.tolerance)}",
        counted(record.directions, "direction") + " each",
    )


def _badness(check: DirectionCheck) -> tuple[int, float]:
    return -(2 * (check.verdict in FAILING) + (check.verdict == "undecided")), -(check.error or 0.0)


def _row(check: DirectionCheck) -> tuple[Value, ...]:
    return tuple(getattr(check, column.key) for column in _COLUMNS)
