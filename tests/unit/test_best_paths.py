"""Dynamic programming for the strongest ways, held against an enumeration of all of them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfopt.pathways.top_paths.best import (
    NONE,
    Best,
    best_of_all,
    gathered,
    merge,
    mix,
    passed,
    pick,
    stack,
    start,
)
from tfopt.pathways.top_paths.flow import END, strongest_flows

K = 4


def _chain(matrices: list[np.ndarray]) -> Best:
    best = start(np.zeros(len(matrices[0])), K).at(("x0", 1))
    for number, matrix in enumerate(matrices, 1):
        best = mix(best, [(0, matrix[:, :2]), (0, matrix[:, 2:])]).at((f"x{number}", 1))
    return best


def _enumerated(matrices: list[np.ndarray]) -> list[tuple[float, tuple[int, ...]]]:
    sizes = [len(matrices[0]), *(matrix.shape[1] for matrix in matrices)]
    ways = [
        (sum(matrix[a, b] for matrix, a, b in zip(matrices, units, units[1:], strict=False)), units)
        for units in itertools.product(*map(range, sizes))
    ]
    return sorted((way for way in ways if way[0] > -np.inf), key=lambda way: -way[0])


@given(st.integers(0, 10**6), st.lists(st.integers(3, 6), min_size=2, max_size=4))
def test_chains_equal_enumeration(seed: int, sizes: list[int]) -> None:
    draw = np.random.default_rng(seed)
    matrices = [draw.normal(size=shape) for shape in itertools.pairwise(sizes)]
    for matrix in matrices:
        matrix[draw.random(matrix.shape) < 0.3] = -np.inf
    found = list(best_of_all(_chain(matrices)))
    expected = _enumerated(matrices)[:K]
    assert [value for value, _ in found] == pytest.approx([value for value, _ in expected])
    assert [tuple(unit for _, unit in steps) for _, steps in found] == [units for _, units in expected]
    assert all([name for (name, _), _ in steps] == [f"x{n}" for n in range(len(sizes))] for _, steps in found)


def test_of_equal_ways_the_earlier_units_come_first() -> None:
    found = [[unit for _, unit in steps] for _, steps in best_of_all(_chain([np.zeros((5, 3)), np.zeros((3, 3))]))]
    assert found == [[0, 0, 0], [1, 0, 0], [2, 0, 0], [3, 0, 0]]


def test_units_that_meet_stand_side_by_side_and_gather() -> None:
    one = start(np.array([3.0, 1.0]), K).at(("one", 1))
    other = start(np.array([2.0, 4.0]), K).at(("other", 1))
    met = [(value, steps[0][0][0]) for value, steps in best_of_all(merge([one, other]))]
    assert met == [(4.0, "other"), (3.0, "one"), (2.0, "other"), (1.0, "one")]
    assert stack([one, other]).values[:, 0].tolist() == [3, 1, 2, 4]
    assert next(best_of_all(stack([one, other]))) == (4.0, [(("other", 1), 1)])
    together = gathered(stack([one, other]), 3).at(("all", 1))
    assert together.values.tolist() == [[4, 3, 2, 1]] * 3
    assert next(best_of_all(together)) == (4.0, [(("other", 1), 1), (("all", 1), 0)])


def test_a_unit_that_takes_from_none_has_no_way() -> None:
    best = passed(start(np.array([1.0, 2.0]), K), 0.5)
    picked = pick(best, np.array([NONE, 0]), np.array([0.0, 1.0]))
    assert picked.values[:, 0].tolist() == [-np.inf, 2.5]
    assert len(list(best_of_all(picked))) == 1


def test_flows() -> None:
    """A diamond with an edge past it: what leaves a node is what came in."""
    edges = [(0, 1, 0.6), (0, 2, 0.4), (1, 3, 0.5), (1, END, 0.1), (2, 3, 0.4), (3, END, 0.9)]
    found = strongest_flows(edges, {0: 1.0}, 5)
    assert [nodes for _, nodes in found] == [(0, 1, 3), (0, 2, 3), (0, 1)]
    assert [share for share, _ in found] == pytest.approx([0.5, 0.4, 0.1])


def test_flows_of_parallel_edges_are_one() -> None:
    assert strongest_flows([(0, 1, 1.0), (0, 1, 2.0), (1, END, 3.0)], {0: 3.0}, 5) == [(1.0, (0, 1))]
