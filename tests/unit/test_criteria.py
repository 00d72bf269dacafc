"""The registry of criteria, and those that need neither samples nor TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfopt.errors import RunFailed, UsageError
from tfopt.pruning.criteria import CRITERIA, Scoring, scored
from tfopt.pruning.prunable import Masks, Prunable, Scores


@dataclass(frozen=True)
class Variable:
    """As much of Keras's as these criteria read."""

    values: np.ndarray
    path: str = "dense/kernel"

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values.shape

    def numpy(self) -> np.ndarray:
        return self.values


def scoring(*arrays: Any, **options: Any) -> Scoring:
    weights = [Prunable(Variable(np.asarray(array)), None, "dense", (0,), (1,)) for array in arrays]
    return Scoring(None, weights, _nothing, 0.5, **options)


def _nothing(scores: Scores, sparsity: float) -> Masks:
    raise AssertionError("these criteria allocate nothing")


def test_every_criterion_says_what_it_needs() -> None:
    needs = {name: (each.needs_data, each.needs_targets) for name, each in CRITERIA.items()}
    of_the_loss = dict.fromkeys(("taylor", "fisher", "snip", "grasp"), (True, True))
    free = dict.fromkeys(("magnitude", "lamp", "path", "synflow", "random"), (False, False))
    assert needs == {**of_the_loss, **free, "wanda": (True, False)}
    assert {name for name, each in CRITERIA.items() if each.at_initialization} == {"snip", "grasp"}
    assert CRITERIA["lamp"].scopes == ("global",)
    assert CRITERIA["wanda"].scopes[0] == "output"
    assert CRITERIA["magnitude"].scopes == ("global", "layer", "erk")


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("fame", {}, "no criterion called fame"),
        ("wanda", {}, "needs samples"),
        ("fisher", {"x": np.ones((2, 3))}, "needs targets"),
    ],
)
def test_what_is_missing_is_said(name: str, options: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said) as raised:
        scored(name, scoring(np.ones((2, 2)), **options))
    assert raised.value.hint


def test_scores_that_are_not_finite_are_refused_by_name() -> None:
    with pytest.raises(RunFailed, match="dense/kernel"):
        scored("magnitude", scoring([[1.0, np.nan]]))


def test_magnitude_is_the_absolute_value_in_float64() -> None:
    (found,) = scored("magnitude", scoring(np.array([[-1.5, 0.0, 2.0**-24]], "float16")))
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, [[1.5, 0.0, 2.0**-24]])


def test_random_depends_on_the_seed_alone() -> None:
    first, again, other = (
        scored("random", scoring(np.zeros((4, 5)), np.ones((4, 5)), seed=seed)) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.any(first[0] == other[0])
    assert not np.any(first[0] == first[1])


@given(st.lists(st.integers(-9, 9), min_size=1, max_size=12), st.sampled_from([1.0, 1e-200, 1e200]))
def test_lamp_is_a_square_over_those_that_are_not_smaller(values: list[int], scale: float) -> None:
    (found,) = scored("lamp", scoring([np.array(values, float) * scale]))
    order = sorted(range(len(values)), key=lambda number: abs(values[number]))
    for place, number in enumerate(order):
        rest = sum(values[other] ** 2 for other in order[place:])
        assert found[0, number] == pytest.approx(values[number] ** 2 / rest if rest else 0.0, rel=1e-12)


def test_lamp_keeps_something_of_every_tensor() -> None:
    large, small = scored("lamp", scoring(np.arange(1.0, 7).reshape(2, 3) * 1e6, np.arange(1.0, 4)[None] * 1e-6))
    assert large.max() == small.max() == 1.0
    np.testing.assert_allclose(small, [[1 / 14, 4 / 13, 1]])
