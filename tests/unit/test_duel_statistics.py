"""The duel's intervals and decisions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfopt.workload.duel.statistics import (
    bounds,
    decided,
    half_width,
    judge,
    median_error,
    resolvable,
    settled,
    t_quantile,
    telling_clock,
)

LIMIT = math.log1p(0.05)
LOGS = st.lists(st.floats(-0.5, 0.5), min_size=1, max_size=12)
OPPOSITE = {"SLOWER": "FASTER", "FASTER": "SLOWER", "SAME": "SAME", "INCONCLUSIVE": "INCONCLUSIVE"}


@pytest.mark.parametrize("freedom", range(1, 31))
def test_the_quantiles_are_those_of_students_t(freedom: int) -> None:
    """By integration of the density from 0 to the quantile."""
    points = np.linspace(0, t_quantile(freedom), 200_001)
    log_scale = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2) - math.log(freedom * math.pi) / 2
    density = np.exp(log_scale) * (1 + points**2 / freedom) ** (-(freedom + 1) / 2)
    assert 0.5 + np.trapezoid(density, points) == pytest.approx(0.975, abs=4e-5)


def test_beyond_the_table_intervals_get_no_narrower() -> None:
    assert t_quantile(31) == t_quantile(1000) == t_quantile(30)


def test_an_interval_by_hand() -> None:
    mean, low, high = bounds([1.0, 2.0, 3.0, 4.0])
    assert mean == 2.5
    half = pytest.approx(3.182 * math.sqrt(5 / 3) / 2)
    assert (high - mean, mean - low) == (half, half)
    assert half_width([0.1]) == math.inf


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    rng = np.random.default_rng(0)
    held = sum(abs(row.mean()) <= half_width(row.tolist()) for row in rng.normal(0, 1, (20_000, 5)))
    assert held / 20_000 == pytest.approx(0.95, abs=0.005)


@pytest.mark.parametrize(
    ("logs", "verdict"),
    [
        ([0.10, 0.11, 0.09, 0.10], "SLOWER"),
        ([-0.10, -0.11, -0.09, -0.10], "FASTER"),
        ([0.00, 0.01, -0.01, 0.00], "SAME"),
        ([0.03, 0.031, 0.029, 0.03], "SAME"),  # a difference, but none that matters
        ([0.045, 0.055, 0.035, 0.045], "INCONCLUSIVE"),  # a difference, which may matter
        ([0.2, -0.1, 0.3, 0.1], "INCONCLUSIVE"),  # a large one, which may be none
        ([0.3], "INCONCLUSIVE"),
    ],
)
def test_verdicts(logs: list[float], verdict: str) -> None:
    assert judge(logs, 0.05) == verdict


@given(LOGS)
def test_exchanging_the_sides_exchanges_the_verdict(logs: list[float]) -> None:
    assert judge([-log for log in logs], 0.05) == OPPOSITE[judge(logs, 0.05)]


@given(LOGS, st.floats(0.0, 0.3))
def test_no_larger_slowdown_is_judged_less_slow(logs: list[float], more: float) -> None:
    order = ["FASTER", "SAME", "INCONCLUSIVE", "SLOWER"]
    before, after = judge(logs, 0.05), judge([log + more for log in logs], 0.05)
    assert before != "SLOWER" or after == "SLOWER"
    assert after != "FASTER" or before == "FASTER"
    assert {before, after} <= set(order)


def test_processes_are_asked_for_until_they_tell_nothing_new() -> None:
    wide, narrow = [0.2, -0.2, 0.1, -0.1], [0.03, 0.04, 0.05, 0.04]
    assert not decided(narrow[:3], 0.05, 4, 12)
    assert decided(narrow, 0.05, 4, 12)
    assert not decided(wide, 0.05, 4, 12)
    assert not decided([*wide, *wide, *wide[:3]], 0.05, 4, 12)
    assert decided([*wide, *wide, *wide], 0.05, 4, 12)
    beyond = [0.04, 0.07, 0.05, 0.06]
    assert judge(beyond, 0.05) == "SLOWER"
    assert not decided(beyond, 0.05, 4, 12)  # its interval reaches below the tolerance
    assert decided([*beyond, *beyond], 0.05, 4, 12)
    assert decided([0.5, 0.9, 0.6, 0.7], 0.05, 4, 12)  # wide, and beyond the tolerance as a whole
    assert decided([-0.5, -0.9, -0.6, -0.7], 0.05, 4, 12)


def test_a_gross_difference_is_asked_for_three_processes_at_most() -> None:
    gross = [2.0, 2.1, 1.9]
    assert not decided(gross, 0.05, 4, 12)
    assert decided(gross, 0.05, 4, 12, gross=True)
    assert not decided(gross[:2], 0.05, 4, 12, gross=True)
    assert decided(gross[:2], 0.05, 2, 12, gross=True)
    assert not decided([0.8, 4.0, 0.8], 0.05, 4, 12, gross=True)  # its interval holds no difference at all


def test_what_ends_a_duel() -> None:
    wide = [0.2, -0.2, 0.1, -0.1]
    assert decided(wide, 0.05, 4, 4)
    assert not settled(wide, 0.05, 4)


@pytest.mark.parametrize("spread", [0.002, 0.02, 0.05, 0.2])
def test_a_change_that_can_be_resolved_is_found(spread: float) -> None:
    """With the interval's width that such processes usually have; one of the half-width is mostly missed."""
    rng = np.random.default_rng(1)
    noise = rng.normal(0.0, spread, (4000, 5))
    usual = float(np.median([resolvable(row.tolist(), 0.05) for row in noise]))
    half = float(np.median([half_width(row.tolist()) for row in noise]))

    def found(change: float) -> float:
        return sum(judge((row + change).tolist(), 0.05) == "SLOWER" for row in noise) / len(noise)

    assert found(usual) >= 0.95
    assert found(half) < 0.6


def test_the_clock_that_can_tell() -> None:
    wide, narrow = [0.2, -0.2, 0.1, -0.1], [0.01, 0.0, 0.01, 0.0]
    assert telling_clock(wide, narrow, 0.05) == "cpu"
    assert telling_clock(wide, wide, 0.05) == "wall"
    assert telling_clock(narrow, narrow, 0.05) == "wall"
    assert telling_clock([2.0, 2.3, 1.9, 2.1], narrow, 0.05) == "wall"  # wide, and clear all the same
    assert telling_clock([0.05, 0.07, 0.03, 0.04], narrow, 0.05) == "wall"  # narrow, and between
    assert telling_clock([0.0], [0.0], 0.05) == "wall"


def test_narrow_is_measured_against_the_tolerance() -> None:
    logs = [LIMIT * share for share in (-0.4, 0.4, -0.4, 0.4)]
    assert decided(logs, 0.05, 4, 12)
    assert not decided(logs, 0.04, 4, 12)


def test_how_well_a_median_is_known() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(0.3, 0.1, (4000, 25))
    told = np.median([median_error(row.tolist()) for row in values])
    assert told == pytest.approx(np.median(values, axis=1).std(), rel=0.1)
    spiked = values[0].tolist()
    spiked[3] += 100
    assert median_error(spiked) < 0.05
