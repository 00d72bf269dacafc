"""Keep where |w| is above the threshold, in four units."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tests.unit.prunables_for_tests import prunable
from tfopt.errors import UsageError
from tfopt.pruning.allocation.thresholds import THRESHOLD_MODES, suggestions, threshold_masks


def _kept(values: list[float], threshold: float, mode: str, dtype: str = "float32") -> list[bool]:
    (mask,) = threshold_masks([prunable([values], dtype=dtype)], threshold, mode)
    return mask[0].tolist()  # type: ignore[no-any-return]


def test_what_equals_the_threshold_goes_though_its_dtype_holds_it_inexactly() -> None:
    for dtype in ("float16", "float32", "float64"):
        assert _kept([0.1, -0.2, 0.3, -0.3], 0.2, "absolute", dtype) == [False, False, True, True]


def test_bfloat16_weights_are_compared_as_they_are() -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    weight = prunable([[0.1, -0.2, 0.3]], dtype=ml_dtypes.bfloat16)
    for mode, threshold in (("absolute", 0.2), ("max", 0.7), ("quantile", 2 / 3)):
        assert threshold_masks([weight], threshold, mode)[0].tolist() == [[False, False, True]]
    assert suggestions([weight], sparsities=(0.5,))[0].threshold == pytest.approx(0.2, rel=1e-2)


def test_a_threshold_beyond_the_dtype_keeps_nothing() -> None:
    assert _kept([1, 60000], 1e6, "absolute", "float16") == [False, False]


def test_a_threshold_of_zero_takes_only_zeros() -> None:
    for mode in ("absolute", "std", "max"):
        assert _kept([0, 1e-30, -2], 0, mode) == [False, True, True]


def test_units_of_each_weight() -> None:
    """The standard deviation of ±1, ±3 is √5 = 2.236, the largest 3."""
    assert _kept([1, -1, 3, -3], 0.44, "std") == [True] * 4
    assert _kept([1, -1, 3, -3], 0.45, "std") == [False, False, True, True]
    assert _kept([1, -1, 3, -3], 0.33, "max") == [True] * 4
    assert _kept([1, -1, 3, -3], 1, "max") == [False] * 4
    assert _kept([5, -1, 3, -4, 2], 0.4, "quantile") == [True, False, True, True, False]
    assert _kept([5, -1, 3, -4, 2], 0, "quantile") == [True] * 5
    assert _kept([5, -1, 3, -4, 2], 1, "quantile") == [False] * 5
    assert _kept([0, 0, 0, 4], 0.3, "quantile") == [False, False, False, True]  # equal ones share a fate


def test_weights_without_spread_have_no_unit() -> None:
    """|w| > T · 0 is true of all but zero."""
    for mode in ("std", "max"):
        assert _kept([0, 0], 0.5, mode) == [False, False]
    assert _kept([2, 2], 0.5, "std") == [True, True]


@given(
    arrays.arrays("float32", st.tuples(st.integers(1, 4), st.integers(1, 9)), elements=st.floats(-4, 4, width=32)),
    st.floats(0, 1),
)
def test_a_quantile_removes_its_share_and_what_equals_the_last(values: np.ndarray, share: float) -> None:
    (mask,) = threshold_masks([prunable(values)], share, "quantile")
    count = sum(rank / values.size <= share for rank in range(1, values.size + 1))
    bound = np.sort(np.abs(values), axis=None)[count - 1] if count else -1
    np.testing.assert_array_equal(mask, np.abs(values) > bound)


@given(
    st.lists(
        arrays.arrays("float32", st.tuples(st.integers(1, 3), st.integers(1, 5)), elements=st.floats(-1, 1, width=32)),
        min_size=1,
        max_size=3,
    ),
    st.sampled_from(sorted(THRESHOLD_MODES)),
    st.floats(0.01, 1),
)
def test_suggestions_do_what_they_say(values: list[np.ndarray], mode: str, sparsity: float) -> None:
    """With the suggested threshold at least that fraction goes, and with any lower one less."""
    weights = [prunable(each) for each in values]
    (found,) = suggestions(weights, mode, (sparsity,))
    wanted = max(round(sparsity * sum(weight.size for weight in weights)), 1)
    if not math.isfinite(found.threshold):  # weights without spread
        return
    assert sum(int((~mask).sum()) for mask in threshold_masks(weights, found.threshold, mode)) >= wanted
    below = np.nextafter(np.float32(found.threshold), np.float32(-1))
    if below >= 0:
        assert sum(int((~mask).sum()) for mask in threshold_masks(weights, float(below), mode)) < wanted


@pytest.mark.parametrize(("threshold", "mode"), [(-0.1, "absolute"), (math.nan, "std"), (math.inf, "max"), (1, "mean")])
def test_what_cannot_be_is_refused(threshold: float, mode: str) -> None:
    with pytest.raises(UsageError):
        threshold_masks([prunable([[1.0]])], threshold, mode)
