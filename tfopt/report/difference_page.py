"""A difference as a page: how the step changed, what else differed, and where the change is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import fsum
from pathlib import PurePath
from typing import NamedTuple

from tfopt.records.difference import Change, DifferenceRecord, Match, OpChange, Presence, Side
from tfopt.report import units
from tfopt.report.page import Column, Page, Table, Value
from tfopt.report.rows import inside
from tfopt.report.view import BOTTLENECKS, By, View, listed

__all__ = ["page"]

_WORDS: dict[Match, str] = {
    "name": "by name",
    "type": "by type",
    "place": "by layer and phase",
    "none": "in one run only",
}
_PRESENCE: dict[Presence, str] = {"both": "", "new": "new", "gone": "gone"}
_TIMES = (
    Column("before_ms", "before", "ms"),
    Column("after_ms", "after", "ms"),
    Column("change_ms", "change", "change_ms"),
    Column("ratio", "ratio", "ratio", drop=4),
    Column("step_share_change", "of step", "change_share", drop=2),
)


class _Line(NamedTuple):
    """A row: its words, its time, and what stands beyond the time."""

    words: tuple[Value, ...]
    time: Change
    beyond: tuple[Value, ...] = ()


def page(record: DifferenceRecord, view: View) -> Page:
    """What to show of `record`: rows beyond the view's `top` are summed into a rest, so that tables add up."""
    before, after = record.before, record.after
    return Page(
        title=f"{_name(after)} against {_name(before)}",
        answer=_answer(record),
        facts=(
            _side("before, the baseline", before),
            _side("after", after),
            _matched(record),
        ),
        tables=(*_circumstances(record), *(table for body in _BODIES[view.by] for table in body(record, view))),
        notes=record.notes,
    )


def _answer(record: DifferenceRecord) -> tuple[str, ...]:
    step, per_example = record.step, record.per_example
    if record.same_recording:
        return f"{units.duration(step.after_ms)} / step", "the same recording on both sides"
    phrases = [_times(step) + " / step", f"{_verdict(step)} than the baseline"]
    if record.before.batch_size != record.after.batch_size:
        phrases.append(f"per example {_times(per_example)}, {_verdict(per_example)}")
    overlap = "overlap" if record.intervals == "overlap" else "do not overlap"
    return *phrases, f"the two runs' own intervals {overlap}"


def _times(change: Change) -> str:
    return f"{units.duration(change.before_ms)} → {units.duration(change.after_ms)}"


def _verdict(change: Change) -> str:
    """`0.44 ms (8.0 %) slower`: what the run is, beside the baseline."""
    word = "slower" if change.change_ms > 0 else "faster"
    relative = "" if change.ratio is None else f" ({units.percent(abs(change.ratio - 1))})"
    return f"{units.duration(abs(change.change_ms))}{relative} {word}"


def _name(side: Side) -> str:
    return PurePath(side.run).name or side.run


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


def _table(
    record: DifferenceRecord,
    title: str,
    by: str,
    words: Sequence[Column],
    lines: Sequence[_Line],
    top: int,
    beyond: Sequence[Column] = (),
) -> Table:
    """`lines` under the columns `words`, those of the times and those `beyond`, the first `top` of them (0: all)."""
    shown, hidden = lines[: top or None], [line.time for line in lines[top or len(lines) :]]
    label = (f"{len(hidden)} more", *[None] * (len(words) - 1))
    rest = Change.between(fsum(time.before_ms for time in hidden), fsum(time.after_ms for time in hidden))
    return Table(
        title=f"{title}, ms",
        by=by,
        columns=(*words, *_TIMES, *beyond),
        rows=tuple((*line.words, *_cells(record, line.time), *line.beyond) for line in shown),
        rest=((*label, *_cells(record, rest), *[None] * len(beyond)),) if hidden else (),
    )


def _cells(record: DifferenceRecord, change: Change) -> tuple[Value, ...]:
    before, after = record.before.median_ms, record.after.median_ms
    of_step = change.after_ms / after - change.before_ms / before if before and after else None
    return change.before_ms, change.after_ms, change.change_ms, change.ratio, of_step


def _circumstances(record: DifferenceRecord) -> Iterator[Table]:
    columns = (Column("name", "what", "text"), Column("before", "before", "name"), Column("after", "after", "name"))
    rows = tuple((item.name, item.before, item.after) for item in record.circumstances)
    if rows:
        yield Table("Circumstances", "", columns, rows)


def _phases(record: DifferenceRecord, view: View) -> Iterator[Table]:
    lines = [_Line((row.phase,), row.time) for row in record.phases if row.time.before_ms or row.time.after_ms]
    yield _table(record, "Phases", "phase", (Column("phase", "phase", "text"),), lines, 0)


def _layers(record: DifferenceRecord, view: View) -> Iterator[Table]:
    words = (
        Column("path", "layer", "name"),
        Column("type", "type", "name", drop=3),
        Column("presence", "", "text", drop=5),
    )
    lines = [
        _Line(
            (inside(row.path, record.after.model), _arrow(row.before_type, row.after_type), _PRESENCE[row.presence]),
            row.own,
            (row.total.change_ms,),
        )
        for row in record.layers
    ]
    nested = any(row.own != row.total for row in record.layers if row.path != record.after.model)
    total = Column("total_change_ms", "with inside", "change_ms", drop=1, quiet=not nested)
    yield _table(record, "Layers, own time", "layer", words, lines, listed(view), (total,))


def _types(record: DifferenceRecord, view: View) -> Iterator[Table]:
    words = (
        Column("type", "type", "name"),
        Column("presence", "", "text", drop=5),
        Column("before_ops", "ops before", "count", drop=3),
        Column("after_ops", "ops after", "count", drop=3),
    )
    lines = [
        _Line((row.type, _PRESENCE[row.presence], row.before_ops, row.after_ops), row.time) for row in record.types
    ]
    yield _table(record, "Op types", "type", words, lines, listed(view))


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
        _Line(
            (
                _arrow(op.before_type, op.after_type),
                inside(op.layer, record.after.model),
                op.phase,
                op.match if op.presence == "both" else op.presence,
                op.name,
            ),
            op.time,
        )
        for op in ops
    ]
    return _table(record, title, by, words, lines, top)


def _arrow(before: str | None, after: str | None) -> str:
    """One word for both sides, or what became of the first."""
    return " → ".join(dict.fromkeys(word for word in (before, after) if word is not None))


_BODIES: dict[By, tuple[Callable[[DifferenceRecord, View], Iterator[Table]], ...]] = {
    "layer": (_phases, _layers, _ops),
    "op": (_ops,),
    "type": (_types,),
    "phase": (_phases, _ops_of_phases),
}
