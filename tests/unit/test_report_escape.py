"""Names of strangers: harmless in every format, and never lost."""

from __future__ import annotations

import csv
import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from records_for_tests import HOSTILE

from tfopt.report.escape import (
    csv_cell,
    csv_list,
    exact,
    from_csv_cell,
    from_csv_list,
    from_exact,
    markdown_code,
    markdown_prose,
    one_line,
    visible,
)

TEXT = st.text(st.characters() | st.sampled_from("=+-@'\\|`\t\r\n\x1b\u202e\ud800＝"))


@given(TEXT)
def test_visible_text_prints_and_is_left_alone_where_it_did(text: str) -> None:
    shown = visible(text)
    assert shown.isprintable()
    if text.isprintable():
        assert shown == text


@given(TEXT)
def test_csv_cells_come_back_exactly_and_never_start_a_formula(text: str) -> None:
    cell = csv_cell(text)
    assert from_csv_cell(cell) == text
    assert not cell.startswith(tuple("=+-@＝＋－＠\t\r\n"))
    assert cell.isprintable()
    file = io.StringIO()
    csv.writer(file).writerow([cell, "x"])
    assert next(csv.reader(io.StringIO(file.getvalue()))) == [cell, "x"]


@given(st.lists(TEXT | st.text("a;\\\\n")))
def test_lists_come_back_exactly(texts: list[str]) -> None:
    cell = csv_list(texts)
    assert from_csv_list(cell) == (texts if texts != [""] else [])
    assert cell.isprintable()


@given(TEXT | st.text("\\\\xn01f\n"))
def test_exact_text_comes_back_and_prints(text: str) -> None:
    assert from_exact(exact(text)) == text
    assert exact(text).isprintable()


def test_long_lines_lose_their_middle() -> None:
    assert one_line("abcdefghij", 7) == "abc…hij"
    assert one_line("abcdefghij", 10) == "abcdefghij"
    assert len(one_line("x" * 10_000, 1000)) == 1000


def test_the_names_of_decent_people_are_not_changed() -> None:
    for name in ("conv2d_1", "block/Conv_1-x", "卷积", "a (b)", "it's", "[0, 1)"):
        assert csv_cell(name) == visible(name) == name


@given(TEXT)
def test_markdown_code_stays_one_cell_and_one_span(text: str) -> None:
    code = markdown_code(text)
    row = f"| {code} | 1 |"
    assert len(re.split(r"(?<!\\)\|", row)) == 4
    assert "\n" not in code
    if not text:
        return
    fence = re.match("`+", code)
    assert fence is not None
    inside = code[fence.end() : -fence.end()]
    assert code.endswith(fence[0])
    assert fence[0] not in re.findall("`+", inside)
    plain = inside.replace(r"\|", "|")
    assert from_exact(plain).strip(" ") == text.strip(" ")


def test_markdown_prose_is_text_on_one_line() -> None:
    assert markdown_prose("a|b\n<b>*x*</b> `c` [d](e)") == r"a\|b \<b\>\*x\*\</b\> \`c\` \[d\](e)"


@pytest.mark.parametrize("name", HOSTILE.values())
def test_one_line_is_one_printable_line(name: str) -> None:
    assert one_line(f" {name}\n\n{name} ").isprintable()


def test_escape_sequences_are_written_out() -> None:
    assert visible("\x1b[31mred\u202e") == r"\x1b[31mred\u202e"
