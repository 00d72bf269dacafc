"""The screen: as wide as the terminal, no name lost in a pipe, colours only on request."""

from __future__ import annotations

import dataclasses
import re
import time

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from records_for_tests import HOSTILE, RECORDS, flat, hostile, nested
from rich.cells import cell_len

from tfopt.records.base import Note
from tfopt.report import render
from tfopt.report.escape import visible
from tfopt.report.grid import Cell, Column, fit, lines, shorten
from tfopt.report.view import BY, View


@pytest.mark.parametrize("name", RECORDS)
@pytest.mark.parametrize("by", BY)
@pytest.mark.parametrize("width", [80, 100, 120])
def test_lines_fit_the_terminal(name: str, by: str, width: int) -> None:
    # A phrase or a command of its own that is longer than the line is wrapped by the terminal.
    text = render(RECORDS[name](), View(by=by, width=width))  # type: ignore[arg-type]
    assert [line for line in text.splitlines() if cell_len(line) > width] == []


@pytest.mark.parametrize("name", RECORDS)
@pytest.mark.parametrize("by", BY)
def test_nothing_is_cut_in_a_pipe(name: str, by: str) -> None:
    text = render(RECORDS[name](), View(by=by, top=0))  # type: ignore[arg-type]
    assert "…" not in text
    assert all(line == line.rstrip() for line in text.splitlines())
    if by in ("layer", "op"):
        shown = RECORDS[name]().layers if by == "layer" else ()
        leaves = [visible(row.path.rpartition("/")[2]) for row in shown if row.total_ms]
        assert all(leaf in text for leaf in leaves)


@pytest.mark.parametrize("color", [False, True])
def test_hostile_names_do_not_act(color: bool) -> None:
    text = render(hostile(), View(color=color, top=0))
    colourless = re.sub(r"\x1b\[[0-9;]*m", "", text)
    assert "\x1b[31m" not in text
    assert colourless.replace("\n", "").isprintable()
    for name in HOSTILE.values():
        assert visible(name) in colourless


def test_without_colour_there_is_no_escape_sequence() -> None:
    assert "\x1b" not in render(flat(), View(width=80))


def test_colour_changes_no_character() -> None:
    view = View(width=100, run_dir="runs/a b")
    coloured = render(flat(), dataclasses.replace(view, color=True))
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == render(flat(), view)
    assert "\x1b[" in coloured


def test_the_answer_comes_first() -> None:
    lines = render(flat(), View(width=80)).splitlines()
    assert lines[0].startswith("mobilenet.keras")
    answer = next(at for at, line in enumerate(lines) if "143 ms / step" in line)
    assert answer < 7
    assert answer < lines.index(next(line for line in lines if line.startswith("Layers")))


def test_retraces_and_dtypes_are_told() -> None:
    text = render(nested(), View())
    assert "   1 retrace\n" in text
    assert "! the step was traced 2 times: tokens changed from int32[32, 41] to int32[7, 41]" in text
    assert "matrix ops: 12 in float16, 1 in float32" in text
    assert "no retraces" in render(flat(), View())


def test_the_commands_that_show_more_can_be_pasted() -> None:
    text = render(flat(), View(run_dir="my runs/a-1"))
    assert "tfopt report 'my runs/a-1' -o report.json" in text
    assert "tfopt tensorboard 'my runs/a-1'" in text
    assert "tensorboard --logdir 'my runs/a-1'" in text
    assert "tfopt tensorboard" not in render(nested(), View(run_dir="runs/x"))  # it kept no trace
    assert "tfopt report" not in render(nested(), View())


def test_long_notes_are_wrapped_and_short_hints_stay() -> None:
    note = Note(message="word " * 40, hint="do this")
    text = render(msgspec.structs.replace(flat(), notes=(note,)), View(width=80))
    assert max(map(len, text.splitlines())) <= 80
    assert "\n    do this\n" in text


def test_inferred_time_is_marked_and_only_where_there_is_some() -> None:
    assert "30.0 %" in render(nested(), View(width=120))
    assert "inferred" not in render(hostile(), View(width=120))


@given(st.text(max_size=60), st.integers(0, 40))
def test_shortened_text_fits_and_keeps_both_ends(text: str, width: int) -> None:
    text = visible(text)
    short = shorten(text, width)
    assert cell_len(short) <= width
    if cell_len(text) <= width:
        assert short == text
    elif short:
        head, _, tail = short.partition("…")
        assert text.startswith(head)
        assert text.endswith(tail)


def test_paths_lose_whole_parts() -> None:
    path = "gradient_tape/model/block_1/dense/MatMul"
    assert shorten(path, 38) == "gradient_tape/…/block_1/dense/MatMul"
    assert shorten(path, 24) == "gradient_tape/…/MatMul"
    assert shorten(path, 12) == "gradi…MatMul"


def test_a_path_of_thousands_of_parts_is_shortened_at_once() -> None:
    started = time.process_time()
    assert shorten("/".join(["ab"] * 20_000), 20) == "ab/…/ab/ab/ab/ab/ab"
    assert time.process_time() - started < 1.0


@pytest.mark.parametrize("by", BY)
@pytest.mark.parametrize("format", ["table", "md", "csv"])
def test_a_record_without_rows_is_still_shown(by: str, format: str) -> None:
    empty = msgspec.structs.replace(flat(), layers=(), ops=())
    assert render(empty, View(by=by, width=80), format)  # type: ignore[arg-type]


def test_a_deep_tree_fits_and_its_names_stay() -> None:
    column = Column("Layers", tuple(Cell(f"layer_{depth}", prefix="│  " * depth) for depth in range(60)), least=24)
    shown = [line.plain for line in lines(fit([column], 80)[0])]
    assert max(map(cell_len, shown)) <= 80
    assert all(line.endswith(f"layer_{depth}") for depth, line in enumerate(shown[1:]))
