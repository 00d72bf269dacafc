"""Sizes and words in messages."""

from __future__ import annotations

import pytest

from tfopt.model.text import human_bytes, one_line, quoted


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (134, "134 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (254_760_514, "254.8 MB"),
        (999_960_000, "1.0 GB"),
        (10**30, "1e+12 EB"),
    ],
)
def test_human_bytes(size: int, text: str) -> None:
    assert human_bytes(size) == text


def test_one_line_has_no_control_characters() -> None:
    assert one_line("a\nb\tc\x1b[31md\u202ee\ud800f") == r"a b cd\u202ee\ud800f"
    assert one_line("größe 模型") == "größe 模型"


def test_one_line_is_short() -> None:
    line = one_line(f"first {'word ' * 10_000} last", 50)
    assert len(line) <= 50
    assert line.startswith("first word")
    assert line.endswith("word last")


def test_quoted_counts_the_rest() -> None:
    assert quoted(["a", "b"]) == "a, b"
    assert quoted(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"
