"""Columns of styled text that fit a width: names give way in the middle, numbers never.

A column says how narrow it may become (`least`) and how readily it goes (`drop`): when the width does not suffice,
columns are left out in that order, then the longest names are shortened until the lines fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from rich.cells import cell_len, chop_cells
from rich.text import Text

__all__ = ["Cell", "Column", "bar_width", "fit", "lines", "shorten", "titled"]

GAP = 2
_LONGEST = 1000  # cells of a name where lines may have any width


def bar_width(width: int | None) -> int:
    """How long the longest bar beside numbers is in lines of `width`."""
    return 16 if width is None or width >= 110 else 8


@dataclass(frozen=True)
class Cell:
    """The text of a cell; `prefix` (a tree's branch) stays when the text is shortened."""

    text: str
    style: str = ""
    prefix: str = ""


@dataclass(frozen=True)
class Column:
    """A column: numbers have no `least` and keep their width; `drop` 0 is never left out, 1 goes first."""

    header: str
    cells: tuple[Cell, ...]
    right: bool = False
    least: int | None = None
    drop: int = 0
    style: str = ""

    @cached_property
    def natural(self) -> int:
        """The width at which nothing is shortened."""
        return max([cell_len(self.header), *(cell_len(cell.prefix) + cell_len(cell.text) for cell in self.cells)])

    @cached_property
    def minimum(self) -> int:
        """The narrowest the column may become."""
        return self.natural if self.least is None else min(self.natural, max(self.least, cell_len(self.header)))


def shorten(text: str, width: int) -> str:
    """`text` in at most `width` terminal cells: where it does not fit, a `…` takes the place of its middle.

    Of a path whole parts are left out where that suffices: `gradient_tape/…/dense/MatMul`.
    """
    if cell_len(text) <= width:
        return text
    if width < 1:
        return ""
    first, *parts = text.split("/")
    room, kept = width - cell_len(f"{first}/…"), len(parts)
    while kept > 1 and (room := room - cell_len(f"/{parts[kept - 1]}")) >= 0:
        kept -= 1
    if kept < len(parts):
        return f"{first}/…/{'/'.join(parts[kept:])}"
    tail = width // 2
    head = width - 1 - tail
    return _take(text, head) + "…" + _take(text[::-1], tail)[::-1]


def _take(text: str, width: int) -> str:
    """The longest start of `text` that fits `width` cells."""
    return chop_cells(text, width)[0] if width > 1 else text[: width if cell_len(text[:1]) <= width else 0]


def fit(columns: Sequence[Column], width: int | None) -> tuple[list[tuple[Column, int]], list[Column]]:
    """The columns that fit `width` with their widths, and those left out."""
    kept = list(columns)
    left_out: list[Column] = []
    if width is None:
        return [(column, min(column.natural, max(column.minimum, _LONGEST))) for column in kept], left_out
    while _total([column.minimum for column in kept]) > width and any(column.drop for column in kept):
        goes = min((column for column in kept if column.drop), key=lambda column: column.drop)
        kept.remove(goes)
        left_out.append(goes)
    widths = [column.natural for column in kept]
    while _total(widths) > width:
        spare = [(own, at) for at, (own, column) in enumerate(zip(widths, kept, strict=True)) if own > column.minimum]
        if not spare:
            break
        widths[max(spare)[1]] -= 1
    return list(zip(kept, widths, strict=True)), left_out


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + GAP * (len(widths) - 1)


def lines(columns: Sequence[tuple[Column, int]]) -> list[Text]:
    """The header and one line per row, without blanks at their ends."""
    rows = [_row([Cell(column.header, "dim") for column, _ in columns], columns)]
    rows += [_row(cells, columns) for cells in zip(*(column.cells for column, _ in columns), strict=True)]
    return rows


def _row(cells: Sequence[Cell], columns: Sequence[tuple[Column, int]]) -> Text:
    line = Text()
    for at, (cell, (column, width)) in enumerate(zip(cells, columns, strict=True)):
        prefix = _branch(cell.prefix, max(width // 2, width - cell_len(cell.text)))
        text = shorten(cell.text, width - cell_len(prefix))
        blank = " " * (width - cell_len(prefix) - cell_len(text))
        line.append(" " * GAP if at else "")
        line.append(blank if column.right else "")
        line.append(prefix, "dim")
        line.append(text, cell.style or column.style)
        line.append("" if column.right else blank)
    line.rstrip()
    return line


def _branch(prefix: str, room: int) -> str:
    """The tree's branches before a name; where they do not fit, their end."""
    return prefix if cell_len(prefix) <= room else "…" + prefix[len(prefix) - room + 1 :]


def titled(shown: list[Text], title: str) -> list[Text]:
    """`shown` with its first header standing out as the title of the whole table."""
    shown[0].stylize("bold not dim", 0, len(title))
    return shown
