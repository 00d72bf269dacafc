"""The layer tree as lines of text: forward, backward and optimizer time, the share of the step, the rate of work."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.text import Text

from tfopt.records.profile import ProfileRecord
from tfopt.report import grid, summary, units
from tfopt.report.bars import bar
from tfopt.report.escape import visible
from tfopt.report.flow import wrapped
from tfopt.report.grid import Cell, Column
from tfopt.report.tree import Line, record_lines
from tfopt.report.view import View

__all__ = ["layer_section"]

_OF_ROOF = "of roof"
_QUIET_KINDS = {"rest", "own", "bracket"}


def layer_section(record: ProfileRecord, view: View) -> list[Text]:
    """The tree of layers as `view` wants it, then how surely time was placed and what the machine can do."""
    lines = record_lines(record, view)
    fitting, _ = grid.fit(_columns(lines, grid.bar_width(view.width)), view.width)
    shown = grid.titled(grid.lines(fitting), "Layers")
    of_roof = any(column.header == _OF_ROOF for column, _ in fitting)
    for fact in (summary.placement(record), summary.roofs(record, lines if of_roof else ())):
        shown += wrapped(fact, "", "dim", view.width) if fact else []
    return shown


def _columns(lines: Sequence[Line], bar_width: int) -> list[Column]:
    times = [line.times for line in lines]
    longest = max((line.times.share for line in lines if _has_bar(line)), default=0.0)
    forward_only = not any(time.backward_ms or time.optimizer_ms for time in times)
    columns = [
        Column("Layers", tuple(_name(line) for line in lines), least=24),
        Column("", tuple(Cell(visible(line.what), "dim") for line in lines), least=12, drop=7),
        _ms("forward", [0.0 if forward_only else time.forward_ms for time in times]),
        _ms("backward", [time.backward_ms for time in times]),
        _ms("opt", [time.optimizer_ms for time in times], drop=6),
        _ms("total ms", [time.total_ms for time in times], drop=0 if forward_only else 8),
        Column("share", tuple(Cell(units.percent(time.share)) for time in times), right=True),
        Column("", tuple(_bar(line, longest, bar_width) for line in lines), drop=1),
        Column("inferred", tuple(Cell(_inferred(line)) for line in lines), right=True, drop=2, style="dim"),
        _known("GFLOP/s", units.align([_text(units.number, time.gflops_per_s) for time in times]), drop=4),
        _known(_OF_ROOF, [_text(units.percent, time.roof_share) for time in times], drop=3),
        Column("bound by", tuple(Cell(line.bound or "") for line in lines), drop=5),
    ]
    return [column for column in columns if any(cell.text.strip(" –") for cell in column.cells)]


def _name(line: Line) -> Cell:
    style = "dim" if line.kind in _QUIET_KINDS else "bold" if line.depth == 0 else ""
    return Cell(visible(line.label), style, line.guide)


def _ms(header: str, values: Sequence[float], drop: int = 0) -> Column:
    cells = tuple(Cell(text) for text in units.align([units.ms(value) for value in values]))
    return Column(header, cells, right=True, drop=drop)


def _known(header: str, texts: Sequence[str], drop: int) -> Column:
    return Column(header, tuple(Cell(text) for text in texts), right=True, drop=drop)


def _text(shown: Callable[[float], str], value: float | None) -> str:
    return "" if value is None else shown(value)


def _has_bar(line: Line) -> bool:
    """Bars compare layers: the model, the sum of the rest and the idle time would only dwarf them."""
    return line.kind in ("layer", "own") and line.depth > 0


def _bar(line: Line, longest: float, width: int) -> Cell:
    return Cell(bar(line.times.share / longest, width), "blue") if longest and _has_bar(line) else Cell("")


def _inferred(line: Line) -> str:
    return units.percent(line.inferred_share) if line.inferred_share else ""
