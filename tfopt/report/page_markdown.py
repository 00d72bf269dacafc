"""Any page as Markdown: names complete and in code spans, tables of the same rows as on the screen."""

from __future__ import annotations

from collections.abc import Iterable

from tfopt.report.escape import markdown_code, markdown_prose
from tfopt.report.markdown import joined, note, table
from tfopt.report.page import Column, Page, Table, Value, labels
from tfopt.report.values import NUMBERS, shown
from tfopt.report.view import View

__all__ = ["render"]


def render(page: Page, view: View) -> str:
    """`page` as a Markdown document."""
    first, *others = page.answer or ("",)
    facts = [others, *page.facts]
    blocks = [
        f"# {markdown_prose(page.title)}: {markdown_prose(first)}",
        *(markdown_prose(sentence) for sentence in page.sentences),
        "\n".join(f"- {joined(phrases)}" for phrases in facts if phrases),
        *(
            block
            for part in page.tables
            if not part.quiet
            for block in (f"## {markdown_prose(part.title)}", markdown_prose(part.caption), _table(part))
        ),
        *(note(remark) for remark in page.notes),
        "\n".join(f"- {name} {markdown_code(text)}" for name, text in page.footer),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _table(part: Table) -> str:
    told = [at for at, column in enumerate(part.columns) if not column.quiet]
    columns = [part.columns[at] for at in told]
    names = labels(part)
    indents = ["\u2003" * depth for depth in part.depths] or [""] * len(names)
    rows = [
        (indent + markdown_code(name), *_cells([row[at] for at in told[1:]], columns[1:]))
        for indent, name, row in zip(indents, names, part.rows, strict=True)
    ]
    rest = [(markdown_prose(str(row[0])), *_cells([row[at] for at in told[1:]], columns[1:])) for row in part.rest]
    header = [markdown_prose(column.title) for column in columns]
    return table(header, [column.kind in NUMBERS for column in columns], [*rows, *rest])


def _cells(row: Iterable[Value], columns: Iterable[Column]) -> list[str]:
    texts = ((shown(value, column.kind), column.kind) for value, column in zip(row, columns, strict=True))
    return [
        markdown_code(text) if text and kind in ("name", "command") else markdown_prose(text) for text, kind in texts
    ]
