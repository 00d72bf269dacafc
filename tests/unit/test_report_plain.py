"""Terminals without Unicode: every sign of the screen has a likeness of the same width."""

from __future__ import annotations

import pytest
from records_for_tests import RECORDS

from tfopt.report import render
from tfopt.report.plain import encode
from tfopt.report.view import View


@pytest.mark.parametrize("name", ["flat", "nested"])
def test_a_screen_in_ascii_keeps_its_columns(name: str) -> None:
    text = render(RECORDS[name](), View(width=100))
    plain = encode(text, "ascii").decode("ascii")
    assert "?" not in plain
    assert [len(line) for line in plain.splitlines()] == [len(line) for line in text.splitlines()]
    assert "####" in plain
    assert "|- " in plain or "|-- " in plain or "`- " in plain


def test_characters_of_names_that_have_no_likeness_are_marked() -> None:
    assert encode("größe ×2", "ascii") == b"gr??e x2"
    assert encode("größe ×2", "utf-8") == "größe ×2".encode()
    assert encode("größe █", "latin-1") == "größe #".encode("latin-1")
