"""Ops as lines of text: the bottlenecks, sums by type, and the largest of each phase."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from tfopt.records.profile import OpRow, ProfileRecord
from tfopt.report import grid, units
from tfopt.report.bars import bar
from tfopt.report.escape import visible
from tfopt.report.grid import Cell, Column
from tfopt.report.rows import OpLine, Ops, Rest, TypeLine, idle, phase_groups, rank_ops, rank_types
from tfopt.report.view import BOTTLENECKS, View, listed

__all__ = ["op_section", "phase_section", "type_section"]


def op_section(record: ProfileRecord, view: View) -> list[Text]:
    """The ops that take longest; beside the layer tree a fixed few, because `view.top` belongs to the tree there."""
    top = BOTTLENECKS if view.by == "layer" else listed(view)
    ops = rank_ops(record.ops, record.layers, top)
    return _op_lines("Bottleneck ops", ops, [*ops.rest, idle(record)], view.width)


def phase_section(record: ProfileRecord, view: View) -> list[Text]:
    """Each phase in which ops ran, with its largest."""
    shown: list[Text] = []
    for row, ops in phase_groups(record, listed(view)):
        title = f"{row.phase.capitalize()} {units.percent(row.share)}"
        shown += [Text(), *_op_lines(title, ops, ops.rest, view.width, phase=False)]
    return shown[1:]


def type_section(record: ProfileRecord, view: View) -> list[Text]:
    """Op types by time."""
    types = rank_types(record.ops, listed(view))
    lines, rest = types.lines, [*types.rest, idle(record)]
    longest = max((line.share for line in lines), default=0.0)
    size = grid.bar_width(view.width)
    bars = (Cell(bar(line.share / longest, size) if longest else "", "blue") for line in lines)
    columns = [
        Column("Op types", (*(Cell(visible(line.type)) for line in lines), *_labels(rest)), least=28),
        _numbers("ops", [str(line.ops) for line in lines], rest),
        _numbers("×/step", [units.times(line.per_step) for line in lines], rest),
        *_times([*lines, *rest]),
        _numbers("cumul.", [units.percent(line.cumulative) for line in lines], rest),
        Column("", (*bars, *_blank(rest)), drop=1),
    ]
    return grid.titled(grid.lines(grid.fit(columns, view.width)[0]), "Op types")


def _op_lines(title: str, ops: Ops, rest: Sequence[Rest], width: int | None, *, phase: bool = True) -> list[Text]:
    lines = ops.lines
    columns = [
        Column(title, (*(Cell(visible(line.op.type)) for line in lines), *_labels(rest)), least=20),
        Column("layer", (*(Cell(visible(line.layer)) for line in lines), *_blank(rest)), least=18, drop=2),
        Column("phase", (*(Cell(line.op.phase if phase else "") for line in lines), *_blank(rest))),
        _numbers("×/step", [units.times(line.op.per_step) for line in lines], rest),
        *_times([*(line.op for line in lines), *rest]),
        _numbers("cumul.", [units.percent(line.cumulative) for line in lines], rest),
        Column("name", (*(Cell(_name(line), "dim") for line in lines), *_blank(rest)), least=44, drop=1),
    ]
    fitting, left_out = grid.fit([c for c in columns if phase or c.header != "phase"], width)
    shown = grid.titled(grid.lines(fitting), title)
    return _with_second_lines(shown, sorted(left_out, key=columns.index), len(lines), width) if left_out else shown


def _with_second_lines(shown: list[Text], below: Sequence[Column], rows: int, width: int | None) -> list[Text]:
    """What found no column goes on a line of its own below each op: a name is never left out."""
    result = shown[:1]
    for at, line in enumerate(shown[1:]):
        result.append(line)
        if at < rows:
            names = " · ".join(column.cells[at].text for column in below)
            result.append(Text("  " + grid.shorten(names, (width or 10**6) - 2), "dim"))
    return result


def _name(line: OpLine) -> str:
    return visible(line.op.name) + (" (inferred)" if line.op.source == "inferred" else "")


def _labels(rest: Sequence[Rest]) -> list[Cell]:
    return [Cell(row.label, "dim") for row in rest]


def _blank(rest: Sequence[Rest]) -> tuple[Cell, ...]:
    return (Cell(""),) * len(rest)


def _numbers(header: str, cells: Sequence[str], rest: Sequence[Rest]) -> Column:
    return Column(header, (*(Cell(text) for text in cells), *_blank(rest)), right=True)


def _times(rows: Sequence[OpRow | TypeLine | Rest]) -> list[Column]:
    """Self time and share of every row, listed or rest."""
    times = units.align([units.ms(row.self_ms) for row in rows])
    return [
        Column("self ms", tuple(Cell(text) for text in times), right=True),
        Column("share", tuple(Cell(units.percent(row.share)) for row in rows), right=True),
    ]
