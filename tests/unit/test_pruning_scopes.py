"""Exact counts from scores, in every scope, held against sorting in plain Python."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.prunables_for_tests import prunable
from tfopt.errors import RunFailed, UsageError
from tfopt.pruning.allocation.erk import erk_counts, erk_densities
from tfopt.pruning.allocation.scopes import SCOPES, allocate
from tfopt.pruning.prunable import Masks, Prunable, Scores

SHAPES = [(3, 4), (1, 7), (2, 2, 3, 5), (4, 2, 3), (6,)]


@st.composite
def scored(draw: Any) -> tuple[Scores, list[Prunable]]:
    """One to four weights with few different scores, so that ties are the rule, and with zeros."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shapes = draw(st.lists(st.sampled_from(SHAPES), min_size=1, max_size=4))
    values = [rng.integers(0, 4, shape) for shape in shapes]
    weights = [prunable(each, (), (0,)) if each.ndim == 1 else prunable(each) for each in values]
    return [rng.integers(-2, 5, shape).astype(float) for shape in shapes], weights


def _kept(scores: list[float], values: list[float], removed: int) -> list[bool]:
    """The definition: zeros first, then the lowest scores, then the first."""
    places = sorted(range(len(scores)), key=lambda at: (values[at] != 0, scores[at] if values[at] else 0, at))
    gone = set(places[:removed])
    return [at not in gone for at in range(len(scores))]


@given(scored(), st.floats(0, 1))
def test_global_takes_the_lowest_of_all(given: tuple[Scores, list[Prunable]], sparsity: float) -> None:
    scores, weights = given
    flat = [float(each) for score in scores for each in score.flat]
    values = [float(each) for weight in weights for each in weight.values.flat]
    found = [bool(each) for mask in allocate(scores, sparsity, "global", weights) for each in mask.flat]
    assert found == _kept(flat, values, round(sparsity * len(flat)))


@given(scored(), st.floats(0, 1))
def test_layer_takes_the_lowest_of_each(given: tuple[Scores, list[Prunable]], sparsity: float) -> None:
    scores, weights = given
    for score, weight, mask in zip(scores, weights, allocate(scores, sparsity, "layer", weights), strict=True):
        assert mask.shape == weight.shape
        expected = _kept(score.ravel().tolist(), weight.values.ravel().tolist(), round(sparsity * score.size))
        assert mask.ravel().tolist() == expected


@given(scored(), st.floats(0, 1))
def test_output_takes_the_lowest_of_each_unit(given: tuple[Scores, list[Prunable]], sparsity: float) -> None:
    scores, weights = given
    for score, weight, mask in zip(scores, weights, allocate(scores, sparsity, "output", weights), strict=True):
        for unit in np.ndindex(*(weight.shape[axis] for axis in weight.output_axes)):
            at: list[Any] = [slice(None)] * score.ndim
            for axis, place in zip(weight.output_axes, unit, strict=True):
                at[axis] = place
            row, values = score[tuple(at)].ravel().tolist(), weight.values[tuple(at)].ravel().tolist()
            assert mask[tuple(at)].ravel().tolist() == _kept(row, values, round(sparsity * len(row)))


@given(scored(), st.floats(0, 1))
def test_erk_is_exact_in_total_and_within_one_of_its_densities(
    given: tuple[Scores, list[Prunable]], sparsity: float
) -> None:
    scores, weights = given
    whole = sum(weight.size for weight in weights)
    masks = allocate(scores, sparsity, "erk", weights)
    assert sum(int((~mask).sum()) for mask in masks) == round(sparsity * whole)
    densities = erk_densities(weights, whole - round(sparsity * whole))
    for density, score, weight, mask in zip(densities, scores, weights, masks, strict=True):
        assert 0 <= density <= 1
        assert abs(int(mask.sum()) - density * weight.size) < 1
        expected = _kept(score.ravel().tolist(), weight.values.ravel().tolist(), int((~mask).sum()))
        assert mask.ravel().tolist() == expected


def test_erk_in_closed_form() -> None:
    """(10, 10) and (40, 40): ε · 20 + ε · 80 = 340 keeps ε = 3.4: .68 and .17. At 1100 the small one would keep 220 of
    its 100: it stays dense, and the large one has the other 1000."""
    weights = [prunable(np.ones((10, 10))), prunable(np.ones((40, 40)))]
    np.testing.assert_allclose(erk_densities(weights, 340), [0.68, 0.17])
    np.testing.assert_allclose(erk_densities(weights, 1100), [1, 1000 / 1600])
    assert erk_counts(weights, 600) == [0, 600]


def test_erk_counts_taps_and_flattens_heads() -> None:
    """(3, 3, 4, 8): 3 + 3 + 4 + 8 over 288. (6 | 2, 4) is a matrix of 6 by 8: 14 over 48."""
    weights = [prunable(np.ones((3, 3, 4, 8))), prunable(np.ones((6, 2, 4)), (0,), (1, 2))]
    densities = erk_densities(weights, 16)
    np.testing.assert_allclose(densities, np.array([18 / 288, 14 / 48]) * 16 / 32)


def test_the_smallest_weight_of_erk_may_be_dense_and_the_rest_of_millions_is_exact() -> None:
    weights = [prunable(np.ones((1000, 997))), prunable(np.ones((3, 3, 1, 7))), prunable(np.ones((130, 77)))]
    whole = sum(weight.size for weight in weights)
    for sparsity in (0.1, 1 / 3, 0.9, 0.987654321, 0.9999, 1.0):
        assert sum(erk_counts(weights, round(sparsity * whole))) == round(sparsity * whole)


def test_nothing_and_everything() -> None:
    scores, weights = [np.array([[1.0, 2], [3, 4]])], [prunable([[0, 1], [2, 3]])]
    for scope in SCOPES:
        assert allocate(scores, 0, scope, weights)[0].all()
        assert not allocate(scores, 1, scope, weights)[0].any()


def test_zeros_go_first_whatever_their_score() -> None:
    assert _masks([[[9.0, 1, 8]]], [[[0, 5, 0]]], 2 / 3) == [[[False, True, False]]]


def test_infinite_scores_are_scores() -> None:
    assert _masks([[[np.inf, 1, -np.inf]]], [[[1, 1, 1]]], 1 / 3) == [[[True, True, False]]]


def _masks(scores: Any, values: Any, sparsity: float) -> Any:
    found: Masks = allocate([np.array(score) for score in scores], sparsity, "global", [prunable(v) for v in values])
    return [mask.tolist() for mask in found]


def test_scores_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(RunFailed, match="scores of a/kernel are NaN"):
        allocate([np.array([[np.nan, 1]])], 0.5, "layer", [prunable([[1, 1]], path="a/kernel")])


@pytest.mark.parametrize(("sparsity", "scope"), [(-0.1, "layer"), (1.1, "layer"), (math.nan, "layer"), (0.5, "lair")])
def test_what_cannot_be_is_refused(sparsity: float, scope: str) -> None:
    with pytest.raises(UsageError):
        allocate([np.ones((1, 2))], sparsity, scope, [prunable([[1, 1]])])
