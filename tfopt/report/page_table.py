"""Any page for the terminal: the answer under its subject, how it came about, tables with bars, what to know."""

from __future__ import annotations

from rich.text import Text

from tfopt.report import grid, units
from tfopt.report.bars import bar
from tfopt.report.escape import visible
from tfopt.report.flow import flow, wrapped
from tfopt.report.page import Page, Table, Tone, Value, labels
from tfopt.report.screen import encode, notes
from tfopt.report.values import NUMBERS, shown
from tfopt.report.view import View

__all__ = ["render"]

_ALIGNED = ("ms", "change_ms", "seconds", "change_s")
_TONES: dict[Tone, str] = {"good": "bold green", "alarm": "bold red", "plain": "bold"}
_LEAST = 32  # cells that the first name of a row keeps
_LEAST_BESIDE = 16  # and the names beside it
_DROP_BARS = 4  # columns that go more readily than bars have a lower number
_MOST = 72  # no name is longer where no width is set: kernels may be called by 4 kB of C++ template


def render(page: Page, view: View) -> str:
    """`page` as lines of text for `view`."""
    sections = [_header(page, view), *(_table(table, view) for table in page.tables if not table.quiet)]
    return encode([*sections, notes(page.notes, view.width), _footer(page)], view.color)


def _header(page: Page, view: View) -> list[Text]:
    first, *others = page.answer or ("",)
    title = flow([(visible(page.title), "bold")], "", view.width)
    answer = flow(
        [(visible(first), _TONES[page.tone]), *((visible(text), "") for text in others)],
        "   ",
        view.width,
        indent="  ",
    )
    told = [line for text in page.sentences for line in wrapped(visible(text), "  ", "", view.width)]
    facts = [flow([(visible(fact), "dim") for fact in line], " · ", view.width) for line in page.facts]
    return [
        *title,
        Text(),
        *answer,
        *told,
        *([Text()] if any(facts) else []),
        *(text for lines in facts for text in lines),
    ]


def _table(table: Table, view: View) -> list[Text]:
    if any(column.kind == "prose" for column in table.columns):
        return _paragraphs(table, view)
    columns = [_column(table, at, view) for at, column in enumerate(table.columns) if not column.quiet]
    columns = [columns[0], *(column for column in columns[1:] if any(cell.text.strip(" –") for cell in column.cells))]
    if table.bar is not None:
        columns.append(_bars(table, view))
    lines = grid.lines(grid.fit(columns, view.width)[0])
    if not table.caption:
        return grid.titled(lines, table.title)
    return [*_title(table, view), *lines]


def _title(table: Table, view: View) -> list[Text]:
    return [Text(table.title, "bold"), *wrapped(visible(table.caption), "", "dim", view.width)]


def _paragraphs(table: Table, view: View) -> list[Text]:
    """Each row as a paragraph beside its first column, what is to be typed below it."""
    wide = max(len(label) for label in labels(table)) + grid.GAP
    lines = _title(table, view) if table.caption else [Text(table.title, "bold")]
    for label, row in zip(labels(table), table.rows, strict=True):
        lead = f"{visible(label):<{wide}}"
        for value, column in zip(row[1:], table.columns[1:], strict=True):
            style = "cyan" if column.kind == "command" else ""
            if value:
                lines += wrapped(visible(str(value)), lead, style, view.width)
                lead = " " * wide
    return lines


def _column(table: Table, at: int, view: View) -> grid.Column:
    column = table.columns[at]
    texts = labels(table) if at == 0 else [shown(row[at], column.kind) for row in table.rows]
    texts += [shown(row[at], column.kind) for row in table.rest]
    if column.kind in _ALIGNED:
        texts = units.align(texts)
    indents = [*("  " * depth for depth in table.depths)] if at == 0 else []
    indents += [""] * (len(texts) - len(indents))
    rest = len(table.rows)
    most = _MOST if view.width is None else view.width
    cells = tuple(
        grid.Cell(grid.shorten(visible(text), most), "dim" if row >= rest else "", indent)
        for row, (text, indent) in enumerate(zip(texts, indents, strict=True))
    )
    number = column.kind in NUMBERS
    least = None if number else _LEAST if at == 0 else _LEAST_BESIDE
    header = visible(column.title if at or table.caption else table.title)
    style = "dim" if column.kind == "name" and at else ""
    return grid.Column(header, cells, right=number, least=least, drop=column.drop, style=style)


def _bars(table: Table, view: View) -> grid.Column:
    at = next(at for at, column in enumerate(table.columns) if column.key == table.bar)
    signed = [_number(row[at]) for row in table.rows]
    values = [abs(value) for value in signed]
    if table.depths[1:] and 0 not in table.depths[1:]:  # the one root of a tree would only dwarf the others
        values[0] = 0.0
    longest = max(values, default=0.0)
    width = grid.bar_width(view.width)
    styles = ["red" if value < 0 else "blue" for value in signed]
    cells = [
        grid.Cell(bar(value / longest, width) if longest else "", style)
        for value, style in zip(values, styles, strict=True)
    ]
    return grid.Column("", (*cells, *[grid.Cell("")] * len(table.rest)), drop=_DROP_BARS)


def _number(value: Value) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _footer(page: Page) -> list[Text]:
    width = max((len(name) for name, _ in page.footer), default=0)
    return [Text.assemble((f"{name:<{width}}  ", "dim"), visible(text)) for name, text in page.footer]
