"""Rank correlation by hand."""

from __future__ import annotations

import numpy as np
import pytest

from bench.ranks import spearman


def test_any_rising_function_correlates_wholly() -> None:
    values = np.array([3.0, -1, 7, 0.5])
    assert spearman(values, np.exp(values)) == pytest.approx(1)
    assert spearman(values, -values) == pytest.approx(-1)


def test_equal_values_share_their_mean_rank() -> None:
    """Ranks 1.5, 1.5, 3, 4 and 1, 3, 2, 4: Σ of products of deviations 3 over √(4.5 · 5)."""
    assert spearman(np.array([1, 1, 2, 3]), np.array([10, 30, 20, 40])) == pytest.approx(3 / (4.5 * 5) ** 0.5)


def test_without_differences_nothing_is_ranked() -> None:
    assert spearman(np.ones(4), np.arange(4)) == 0
