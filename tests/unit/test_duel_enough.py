"""How much one process measures."""

from __future__ import annotations

import pytest

from tfopt.workload.duel.enough import calls_per_block, enough, gross
from tfopt.workload.duel.messages import Pair, Task
from tfopt.workload.options import Options
from tfopt.workload.workers.contestant import Contestant

TASK = Task(Contestant("base", "m", Options()), (), pairs=6, precision=0.02, pair_seconds=10.0, seed="")


def _pairs(*ratios: float | tuple[float, float]) -> list[Pair]:
    """Pairs with these ratios by both clocks, or by wall and CPU clock."""
    both = [ratio if isinstance(ratio, tuple) else (ratio, ratio) for ratio in ratios]
    return [Pair("arm", (2.0, 3.0), (2.0 * wall, 3.0 * cpu)) for wall, cpu in both]


@pytest.mark.parametrize(("step_s", "calls"), [(0.001, 5), (0.39, 5), (0.45, 4), (0.9, 2), (1.5, 1), (12.0, 1)])
def test_slow_steps_have_short_blocks(step_s: float, calls: int) -> None:
    assert calls_per_block(step_s) == calls


def test_pairs_until_their_median_is_known() -> None:
    assert not enough([], TASK, 0.0)
    assert not enough(_pairs(*[1.0] * 5), TASK, 0.0)
    assert enough(_pairs(*[1.0] * 6), TASK, 0.0)
    noisy = _pairs(*[0.8, 0.9, 1.0, 1.1, 1.2, 1.3])
    assert not enough(noisy, TASK, 9.9)
    assert not enough(noisy * 5, TASK, 9.9)
    assert enough(noisy * 33, TASK, 9.9)
    assert enough(_pairs(*[0.5, 2.5] * 100), TASK, 9.9)


def test_the_clock_that_decides_is_the_one_to_be_known() -> None:
    pairs = _pairs(*[(ratio, 1.0) for ratio in (0.8, 0.9, 1.0, 1.1, 1.2, 1.3)])
    assert not enough(pairs, TASK, 0.0)
    assert enough(pairs, Task(TASK.baseline, (), 6, 0.02, 10.0, "", clock="cpu"), 0.0)


def test_when_the_time_is_over_two_pairs_are_enough() -> None:
    assert not enough(_pairs(1.0), TASK, 100.0)
    assert enough(_pairs(1.0, 1.5), TASK, 10.0)
    assert not enough(_pairs(1.0, 1.5), TASK, 9.9)


def test_a_gross_difference_needs_few_pairs() -> None:
    assert not enough(_pairs(7.0), TASK, 9.9)
    assert enough(_pairs(7.0, 7.0), TASK, 0.0)
    assert enough(_pairs(0.2, 0.2), TASK, 0.0)
    assert enough(_pairs(7.0), TASK, 10.0)
    assert not enough(_pairs(7.0, 1.9), TASK, 0.0)
    assert not enough(_pairs(7.0, 0.1), TASK, 0.0)


def test_one_clock_alone_shows_no_gross_difference() -> None:
    assert gross(_pairs((2.1, 2.1)))
    assert not gross(_pairs((7.0, 1.0), (7.0, 1.0)))
    assert not gross(_pairs((7.0, 0.2)))
    assert not gross([])


def test_beside_another_device_wall_time_alone_tells() -> None:
    pairs = _pairs((7.0, 1.0), (7.0, 1.0))
    assert gross(pairs, ("wall",))
    assert enough(pairs, TASK, 0.0, ("wall",))
    assert not enough(pairs, TASK, 0.0)
