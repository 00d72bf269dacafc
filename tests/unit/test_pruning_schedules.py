"""How sparsity grows."""

from __future__ import annotations

import pytest

from tfopt.errors import UsageError
from tfopt.pruning.allocation.schedules import SCHEDULES, sparsities


def test_in_closed_form() -> None:
    assert sparsities("one-shot", 0.8, 3) == (0.8, 0.8, 0.8)
    assert sparsities("linear", 0.8, 4) == pytest.approx((0.2, 0.4, 0.6, 0.8))
    assert sparsities("cubic", 0.8, 2) == pytest.approx((0.8 * 7 / 8, 0.8))


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("steps", [1, 3, 7, 10])
@pytest.mark.parametrize("target", [0.1, 1 / 3, 0.98, 1.0])
def test_it_never_falls_and_ends_exactly_at_the_target(schedule: str, steps: int, target: float) -> None:
    found = sparsities(schedule, target, steps)
    assert len(found) == steps
    assert found[-1] == target
    assert list(found) == sorted(found)
    assert found[0] > 0


@pytest.mark.parametrize(("schedule", "steps"), [("square", 2), ("cubic", 0)])
def test_what_cannot_be_is_refused(schedule: str, steps: int) -> None:
    with pytest.raises(UsageError):
        sparsities(schedule, 0.5, steps)
