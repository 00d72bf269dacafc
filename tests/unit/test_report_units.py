"""Numbers as people read them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfopt.report import units
from tfopt.report.bars import bar


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "–"),
        (0.0001, "<0.001"),
        (0.4126, "0.413"),
        (0.9996, "1.00"),
        (5.274, "5.27"),
        (9.996, "10.0"),
        (44.24, "44.2"),
        (99.96, "100"),
        (142.6, "143"),
        (12345.6, "12346"),
        (-3.0, "-3.00"),
        (math.inf, "?"),
        (math.nan, "?"),
    ],
)
def test_milliseconds_have_three_digits(value: float, shown: str) -> None:
    assert units.ms(value) == shown


@pytest.mark.parametrize(
    ("fraction", "shown"),
    [(-0.002, "-0.2 %"), (0, "+0.0 %"), (0.031, "+3.1 %"), (0.999, "+99.9 %"), (1.0, "2.00 ×"), (10.62, "11.6 ×")],
)
def test_what_came_on_top_is_a_percentage_up_to_the_double(fraction: float, shown: str) -> None:
    assert units.added(fraction) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(142.6, "143 ms"), (0.4126, "0.413 ms"), (12_345.0, "12.3 s"), (1e6, "1000 s")]
)
def test_long_times_are_said_in_seconds(value: float, shown: str) -> None:
    assert units.duration(value) == shown


def test_an_interval_says_a_common_unit_once() -> None:
    assert units.interval(140.9, 144.8) == "141 to 145 ms"
    assert units.interval(9_990, 10_010) == "9990 ms to 10.0 s"


@pytest.mark.parametrize(
    ("value", "shown"), [(0, "–"), (0.0004, "<0.1 %"), (0.0005, "0.1 %"), (0.5832, "58.3 %"), (1, "100.0 %")]
)
def test_shares_are_percentages(value: float, shown: str) -> None:
    assert units.percent(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(0, "0"), (999, "999"), (1_234, "1.23 k"), (2_270_794, "2.27 M"), (3.2e10, "32.0 G")]
)
def test_counts_are_scaled(value: float, shown: str) -> None:
    assert units.count(value) == shown


@pytest.mark.parametrize(("value", "shown"), [(512, "512 B"), (9_204_512, "9.20 MB"), (5 * 10**15, "5000 TB")])
def test_sizes_are_decimal(value: int, shown: str) -> None:
    assert units.size(value) == shown


@pytest.mark.parametrize(("value", "shown"), [(1.0, "1"), (53.02, "53"), (4608, "4,608"), (0.4, "0.4")])
def test_occurrences_per_step(value: float, shown: str) -> None:
    assert units.times(value) == shown


def test_aligned_numbers_have_their_points_below_one_another() -> None:
    cells = units.align(["143", "5.27", "0.413", "–"])
    widest = max(map(len, cells))
    rows = [cell.rjust(widest) for cell in cells]
    assert rows == ["143    ", "  5.27 ", "  0.413", "  –    "]


@given(st.floats(0, 1), st.integers(1, 60))
def test_bars_are_as_long_as_their_number(fraction: float, width: int) -> None:
    drawn = bar(fraction, width)
    eighths = sum(8 if block == "█" else " ▏▎▍▌▋▊▉".index(block) for block in drawn)
    assert len(drawn) <= width
    assert abs(eighths - fraction * width * 8) <= 1
    assert bool(drawn) == (fraction > 0)


def test_bars_of_nothing_and_of_too_much() -> None:
    assert bar(0, 10) == bar(math.nan, 10) == bar(-1, 10) == ""
    assert bar(7, 3) == "███"
