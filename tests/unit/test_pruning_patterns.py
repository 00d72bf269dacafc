"""N of M input channels, counted group by group in plain loops."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.prunables_for_tests import prunable
from tfopt.errors import UsageError
from tfopt.pruning.allocation.patterns import n_of_m, parse_n_of_m


@given(
    st.sampled_from([((8, 3), (0,)), ((3, 2, 8, 2), (2,)), ((2, 4, 3), (0, 1)), ((2, 3, 8), (2,)), ((8, 2, 3), (0,))]),
    st.sampled_from([(2, 4), (1, 2), (3, 8), (1, 8), (5, 8)]),
    st.integers(0, 2**32 - 1),
)
def test_each_group_keeps_its_highest(
    kernel: tuple[tuple[int, ...], tuple[int, ...]], of: tuple[int, int], seed: int
) -> None:
    (shape, axes), (n, m), rng = kernel, of, np.random.default_rng(seed)
    score, values = rng.integers(0, 5, shape).astype(float), rng.integers(0, 3, shape)
    (mask,), dense = n_of_m([score], [prunable(values, axes)], n, m)
    assert dense == {}
    rest = [axis for axis in range(len(shape)) if axis not in axes]
    inputs = list(itertools.product(*(range(shape[axis]) for axis in axes)))
    for place in itertools.product(*(range(shape[axis]) for axis in rest)):
        for first in range(0, len(inputs), m):
            at = [_index(axes, each, rest, place) for each in inputs[first : first + m]]
            worth = sorted(range(m), key=lambda i: (values[at[i]] != 0, score[at[i]] if values[at[i]] else 0, i))
            assert [bool(mask[each]) for each in at] == [i in worth[m - n :] for i in range(m)]


def _index(axes: tuple[int, ...], own: tuple[int, ...], rest: list[int], place: tuple[int, ...]) -> tuple[int, ...]:
    where = dict(zip((*axes, *rest), (*own, *place), strict=True))
    return tuple(where[axis] for axis in range(len(where)))


def test_what_cannot_be_grouped_stays_dense_and_is_listed() -> None:
    weights = [prunable(np.ones((8, 2))), prunable(np.ones((3, 3, 3, 8))), prunable(np.ones((3, 3, 8, 1)), (), (2, 3))]
    masks, dense = n_of_m([np.ones(weight.shape) for weight in weights], weights, 2, 4)
    assert [mask.mean() for mask in masks] == [0.5, 1, 1]
    assert dense == {1: "4 does not divide its 3 inputs", 2: "it sums no inputs"}


def test_patterns_are_read() -> None:
    assert parse_n_of_m("2:4") == (2, 4)


@pytest.mark.parametrize("text", ["4:2", "2:2", "0:4", "2:4:8", "2", "-1:4", "a:b", "", "２:４ ", "2:99999999999"])
def test_other_words_are_no_patterns(text: str) -> None:
    with pytest.raises(UsageError, match="is no pattern N:M"):
        parse_n_of_m(text)
