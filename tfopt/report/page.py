"""A record as a page: what every format shows, each in its own way, without knowing the record.

A kind of record that needs no look of its own has one function `page(record, view) -> Page` (listed in
`tfopt.report.pages`); the terminal, Markdown and CSV follow from it. The function makes the tables that `view.by` asks
for and cuts them to `view.top` rows (`listed(view)`), summing up what it cuts in `rest`. For CSV it is asked for all
rows, and its first table of `view.by` is the file.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from tfopt.records.base import Note

__all__ = ["Column", "Kind", "Page", "Table", "Tone", "Value", "labels"]

# What a column holds, and so how it is written: `name` comes from a file (escaped, shortened in the middle on narrow
# screens, never cut in machine formats), `text` is ours; a `rank` that is not known is shown as `–`; `share` is a
# fraction of 1, shown as percent; `ratio` is shown as `1.25 ×`; `change_ms` and `change_share` carry a sign; `flops`
# (and any large count) is shown as `1.25 G`, `bytes` as `1.25 GB`, `per_byte` as a plain number; `scientific` has any
# size, `cosine` is 1 only where it is; those with `change` carry a sign. `prose` is as long as it needs and never
# shortened, a `command` follows it on a line of its own: a table with these is a list of paragraphs under its first
# column.
Kind = Literal[
    "name",
    "text",
    "count",
    "rank",
    "ms",
    "change_ms",
    "seconds",
    "change_s",
    "share",
    "change_share",
    "ratio",
    "flops",
    "bytes",
    "per_byte",
    "scientific",
    "change",
    "cosine",
    "prose",
    "command",
]
Tone = Literal["good", "alarm", "plain"]
Value = str | int | float | None


@dataclass(frozen=True)
class Column:
    """`key` is the column's name for programs, with its unit (`self_ms`), `title` the one for people. `drop` 0 is
    never left out on a narrow screen, 1 goes first. A `quiet` column is for programs only (CSV)."""

    key: str
    title: str
    kind: Kind
    drop: int = 0
    quiet: bool = False


@dataclass(frozen=True)
class Table:
    """Rows under a title. `rest` sums up what a person's view leaves out (a label and one value per other column);
    `bar` is the key of the share column that is drawn as a bar beside the numbers. Where there are `depths`, the first
    column holds paths: people see them as a tree, each row as what it adds to the row that it lies in.
    `by` is the view that chooses this table where a format holds only one (CSV); a `quiet` one is for CSV only.
    `caption` says below the title what the table shows."""

    title: str
    by: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Value, ...], ...]
    rest: tuple[tuple[Value, ...], ...] = ()
    bar: str | None = None
    depths: tuple[int, ...] = ()
    quiet: bool = False
    caption: str = ""


@dataclass(frozen=True)
class Page:
    """`title` is the subject (a file, a run), `answer` the numbers that matter most, one phrase each, told in the
    `tone` of good news, of an alarm or of neither; `sentences` follow from them, each a paragraph; `facts` are lines of
    phrases about how it was made; `footer` lines are commands to go on with."""

    title: str
    answer: tuple[str, ...]
    facts: tuple[tuple[str, ...], ...]
    tables: tuple[Table, ...]
    notes: tuple[Note, ...] = ()
    footer: tuple[tuple[str, str], ...] = field(default=())
    sentences: tuple[str, ...] = ()
    tone: Tone = "good"


def labels(table: Table) -> list[str]:
    """The first column of the rows as people read it: of a path in a tree only what its row adds."""
    names = [str(row[0]) for row in table.rows]
    if not table.depths:
        return names
    shown, above = [], list[str]()
    for name, depth in zip(names, table.depths, strict=True):
        del above[depth:]
        shown.append(name.removeprefix(f"{above[-1]}/") if above else name)
        above.append(name)
    return shown
