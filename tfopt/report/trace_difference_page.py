"""The difference of two traces as a page: device time before and after, and under which names it changed."""

from __future__ import annotations

from tfopt.errors import UsageError
from tfopt.records.trace_difference import NameChange, TraceDifferenceRecord, TraceSide
from tfopt.report import units
from tfopt.report.changes import Line, arrow, changes_table, name_of, present, verdict
from tfopt.report.page import Column, Page, Table
from tfopt.report.view import BOTTLENECKS, By, View, listed

__all__ = ["page"]

_TABLES: dict[By, tuple[str, str]] = {
    "layer": ("Name scopes, own time", "scopes"),
    "op": ("Ops", "ops"),
    "type": ("Op types", "types"),
    "phase": ("Phases", "phases"),
    "kernel": ("Kernels", "kernels"),
}


def page(record: TraceDifferenceRecord, view: View) -> Page:
    """What to show of `record`; UsageError where it has no rows of the kind that `view.by` asks for."""
    if view.by not in _TABLES:
        raise UsageError(f"a difference has no rows by {view.by}", f"--by takes {', '.join(_TABLES)}")
    if not getattr(record, _TABLES[view.by][1]):
        raise UsageError(f"neither trace has rows by {view.by}", "see their ops with --by op")
    tables = [_table(record, view.by, listed(view))]
    if view.by == "layer":  # beside the scopes a fixed few, because `top` belongs to the scopes there
        tables.append(_table(record, "op", BOTTLENECKS))
    return Page(
        title=f"{name_of(record.after.path)} against {name_of(record.before.path)}",
        answer=_answer(record),
        facts=(_side("before, the baseline", record.before), _side("after", record.after)),
        tables=tuple(tables),
        notes=record.notes,
    )


def _answer(record: TraceDifferenceRecord) -> tuple[str, ...]:
    time = f"{arrow(record.op_time)} of {record.after.where} time" + (" / step" if record.per == "step" else "")
    if record.same_recording:
        return time, "the same recording on both sides"
    busy = (units.percent(1 - side.idle_share) for side in (record.before, record.after))
    return time, f"{verdict(record.op_time, 'more', 'less')} than the baseline", f"busy {' → '.join(busy)}"


def _side(word: str, side: TraceSide) -> tuple[str, ...]:
    devices = f"{side.devices} {side.where}{'s' if side.devices != 1 else ''}"
    steps = "no step markers" if side.steps is None else f"{side.steps} steps"
    return f"{word}: {side.path}", f"{units.duration(side.op_ms)} on {devices}", steps


def _table(record: TraceDifferenceRecord, by: By, top: int) -> Table:
    title, field = _TABLES[by]
    rows: tuple[NameChange, ...] = getattr(record, field)
    words = (
        Column("name", "name", "name"),
        Column("presence", "", "text", drop=5),
        Column("before_occurrences", "× before", "count", drop=1),
        Column("after_occurrences", "× after", "count", drop=1),
    )
    lines = [
        Line(
            (row.name, present(row.presence), row.before_occurrences, row.after_occurrences),
            row.time,
            (row.each_ratio,),
        )
        for row in rows
    ]
    each = Column("each_ratio", "each", "ratio", drop=3)
    return changes_table(record.op_time, title, by, words, lines, top, (each,))
