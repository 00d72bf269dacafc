"""Markdown, parsed by a reader of CommonMark with GitHub's tables: what it sees are the record's own rows and names."""

from __future__ import annotations

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token
from records_for_tests import RECORDS

from tfopt.report import render, units
from tfopt.report.escape import one_line, visible
from tfopt.report.rows import idle, rank_ops
from tfopt.report.view import BY, View


def parsed(text: str) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse(text)


def tables(text: str) -> list[list[list[str]]]:
    """The cells of each row of each table as plain text, the header first; a cell may hold text and code, no more."""
    found: list[list[list[str]]] = []
    for token in parsed(text):
        if token.type == "table_open":
            found.append([])
        elif token.type == "tr_open":
            found[-1].append([])
        elif token.type == "inline" and token.level >= 4 and found:
            children = token.children or []
            assert {child.type for child in children} <= {"text", "code_inline"}
            found[-1][-1].append("".join(child.content for child in children))
    return found


@pytest.mark.parametrize("name", RECORDS)
@pytest.mark.parametrize("by", BY)
def test_tables_are_rectangles(name: str, by: str) -> None:
    for table in tables(render(RECORDS[name](), View(by=by, top=0), "md")):  # type: ignore[arg-type]
        assert len(table) > 1
        assert len({len(row) for row in table}) == 1


@pytest.mark.parametrize("name", RECORDS)
def test_rows_are_those_of_the_record_whatever_their_names(name: str) -> None:
    record = RECORDS[name]()
    phases, ops = tables(render(record, View(by="op", top=0), "md"))
    lines = rank_ops(record.ops, record.layers, 0).lines
    shown = [[visible(line.op.type), visible(line.op.name), visible(line.layer)] for line in lines]
    assert [row[:3] for row in ops[1:]] == [*shown, ["(idle)", "", ""]]
    assert ops[-1][-3:-1] == [units.ms(idle(record).self_ms), units.percent(idle(record).share)]
    assert {row[0] for row in phases[1:]} >= {row.phase for row in record.phases if row.share}
    _, layers, _ = tables(render(record, View(top=0), "md"))
    named = [row[0].lstrip("│├└─ ") for row in layers[1:]]
    paths = [visible(row.path.rpartition("/")[2]) for row in record.layers if row.total_ms]
    assert sorted(label for label in named if label != "own ops") == sorted(paths)


@pytest.mark.parametrize("name", RECORDS)
def test_nothing_in_a_name_or_a_note_becomes_markup(name: str) -> None:
    record = RECORDS[name]()
    tokens = parsed(render(record, View(run_dir="runs/<b>x"), "md"))
    inline = [child.type for token in tokens for child in token.children or []]
    assert not {"html_block", "fence", "code_block"} & {token.type for token in tokens}
    assert not {"link_open", "html_inline", "image", "em_open"} & set(inline)
    assert inline.count("strong_open") == len(record.notes)
    quoted = "".join(token.content for token in tokens if token.type == "inline")
    for note in record.notes:
        assert one_line(note.message).split()[0] in quoted
