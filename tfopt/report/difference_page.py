"""A difference as a page: how the step changed, what else differed, and where the change is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from tfopt.records.difference import DifferenceRecord, Match, OpChange, Side
from tfopt.report import units
from tfopt.report.changes import Line, arrow, changes_table, name_of, present, verdict
from tfopt.report.circumstances import unlike
from tfopt.report.page import Column, Page, Table
from tfopt.report.rows import inside
from tfopt.report.view import BOTTLENECKS, By, View, listed

__all__ = ["page"]

_WORDS: dict[Match, str] = {
    "name": "by name",
    "type": "by type",
    "place": "by layer and phase",
    "none": "in one run only",
}


def page(record: DifferenceRecord, view: View) -> Page:
    """What to show of `record`: rows beyond the view's `top` are summed into a rest, so that tables add up."""
    before, after = record.before, record.after
    return Page(
        title=f"{name_of(after.run)} against {name_of(before.run)}",
        answer=_answer(record),
        facts=(
            _side("before, the baseline", before),
            _side("after", after),
            _matched(record),
        ),
        tables=(*_circumstances(record), *(table for body in _BODIES[view.by] for table in body(record, view))),
        notes=record.notes,
        tone="plain" if unlike(record.circumstances) else "good",
    )


def _answer(record: DifferenceRecord) -> tuple[str, ...]:
    step, per_example = record.step, record.per_example
    if record.same_recording:
        return f"{units.duration(step.after_ms)} / step", "the same recording on both sides"
    another = unlike(record.circumstances)
    than = f"the baseline, which has another {another}" if another else "the baseline"
    phrases = [arrow(step) + " / step", f"{verdict(step, *_words(another))} than {than}"]
    if record.before.batch_size != record.after.batch_size:
        besides = unlike(item for item in record.circumstances if item.name != "batch size")
        phrases.append(f"per example {arrow(per_example)}, {verdict(per_example, *_words(besides))}")
    overlap = "overlap" if record.intervals == "overlap" else "do not overlap"
    return *phrases, f"the two runs' own intervals {overlap}"


def _words(another: str) -> tuple[str, str]:
    return ("more", "less") if another else ("slower", "faster")


def _side(word: str, side: Side) -> tuple[str, ...]:
    interval = units.interval(side.low_ms, side.high_ms)
    step = f"{units.duration(side.median_ms)}, 95 % interval of this run {interval}"
    return f"{word}: {side.run}", side.model, step, side.started_at


def _matched(record: DifferenceRecord) -> tuple[str, ...]:
    shares = (
        f"{units.percent(row.before_share)} / {units.percent(row.after_share)} {_WORDS[row.match]}"
        for row in record.matched
        if row.before_share or row.after_share
    )
    return "op time before / after matched", *shares


def _circumstances(record: DifferenceRecord) -> Iterator[Table]:
    columns = (Column("name", "what", "text"), Column("before", "before", "name"), Column("after", "after", "name"))
    rows = tuple((item.name, item.before, item.after) for item in record.circumstances)
    if rows:
        yield Table("Circumstances", "", columns, rows)


def _phases(record: DifferenceRecord, view: View) -> Iterator[Table]:
    lines = [Line((row.phase,), row.time) for row in record.phases if row.time.before_ms or row.time.after_ms]
    yield changes_table(record.step, "Phases", "phase", (Column("phase", "phase", "text"),), lines, 0)


def _layers(record: DifferenceRecord, view: View) -> Iterator[Table]:
    words = (
        Column("path", "layer", "name"),
        Column("type", "type", "name", drop=3),
        Column("presence", "", "text", drop=5),
    )
    lines = [
        Line(
            (inside(row.path, record.after.model), _types_of(row.before_type, row.after_type), present(row.presence)),
            row.own,
            (row.total.change_ms,),
        )
        for row in record.layers
    ]
    nested = any(row.own != row.total for row in record.layers if row.path != record.after.model)
    total = Column("total_change_ms", "with inside", "change_ms", drop=1, quiet=not nested)
    yield changes_table(record.step, "Layers, own time", "layer", words, lines, listed(view), (total,))


def _types(record: DifferenceRecord, view: View) -> Iterator[Table]:
    words = (
        Column("type", "type", "name"),
        Column("presence", "", "text", drop=5),
        Column("before_ops", "ops before", "count", drop=3),
        Column("after_ops", "ops after", "count", drop=3),
    )
    lines = [Line((row.type, present(row.presence), row.before_ops, row.after_ops), row.time) for row in record.types]
    yield changes_table(record.step, "Op types", "type", words, lines, listed(view))


def _ops(record: DifferenceRecord, view: View) -> Iterator[Table]:
    """Beside the layers a fixed few, because `view.top` belongs to the layers there."""
    top = BOTTLENECKS if view.by == "layer" else listed(view)
    yield _op_table(record, "Ops", "op", record.ops, top)


def _ops_of_phases(record: DifferenceRecord, view: View) -> Iterator[Table]:
    for phase in (row.phase for row in record.phases if row.phase != "idle"):
        ops = [op for op in record.ops if op.phase == phase]
        if ops:
            yield _op_table(record, phase.capitalize(), "", ops, listed(view))


def _op_table(record: DifferenceRecord, title: str, by: str, ops: Sequence[OpChange], top: int) -> Table:
    words = (
        Column("type", "type", "name"),
        Column("layer", "layer", "name"),
        Column("phase", "phase", "text", quiet=not by),
        Column("match", "match", "text", drop=3, quiet={op.match for op in ops} <= {"name"}),
        Column("name", "name", "name", drop=1, quiet=not any(op.name for op in ops if op.phase != "idle")),
    )
    lines = [
        Line(
            (
                _types_of(op.before_type, op.after_type),
                inside(op.layer, record.after.model),
                op.phase,
                op.match if op.presence == "both" else op.presence,
                op.name,
            ),
            op.time,
        )
        for op in ops
    ]
    return changes_table(record.step, title, by, words, lines, top)


def _types_of(before: str | None, after: str | None) -> str:
    """One word for both sides, or what became of the first."""
    return " → ".join(dict.fromkeys(word for word in (before, after) if word is not None))


_BODIES: dict[By, tuple[Callable[[DifferenceRecord, View], Iterator[Table]], ...]] = {
    "layer": (_phases, _layers, _ops),
    "op": (_ops,),
    "type": (_types,),
    "phase": (_phases, _ops_of_phases),
}
