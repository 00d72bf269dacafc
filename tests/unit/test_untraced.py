"""Taking the recorder's cost off: sums that must hold, and steps whose untraced times are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfopt.trace.timeline import Timeline
from tfopt.trace.untraced import untraced

NOTHING_WAITS = np.array([False, False])


def timeline(wall: list[float], count: list[int], idle: float = 0.0, busy: list[float] | None = None) -> Timeline:
    times = np.array(wall, dtype=float)
    return Timeline(times, times / 2, np.array(busy or wall, dtype=float), np.array(count), idle, times.sum() + idle)


def test_recording_an_event_takes_no_more_than_it_can() -> None:
    """Two events may have cost 2 µs; that the step was 100 µs longer has another reason."""
    found = untraced(timeline([500e6, 500e6], [2, 0]), NOTHING_WAITS, 100e6, 0.0)
    assert found.wall == pytest.approx([498e6, 500e6])


def test_the_cost_is_the_same_for_every_event() -> None:
    """One long op of 60 ps and 40 small ones of 1 ps; recording adds 1 ps to each, and 5 ps pass idle."""
    found = untraced(timeline([61.0, 80.0], [1, 40], idle=5.0), NOTHING_WAITS, 41.0, 0.0)
    assert found.wall == pytest.approx([60.0, 40.0])
    assert found.executor == pytest.approx([30.0, 20.0])
    assert (found.idle, found.total) == (5.0, pytest.approx(105.0))


def test_ops_side_by_side_share_the_cost() -> None:
    """Two threads: each op has half of the wall time, and so half of what its event cost."""
    found = untraced(timeline([50.0, 50.0], [1, 1], busy=[100.0, 100.0]), NOTHING_WAITS, 10.0, 0.0)
    assert found.wall == pytest.approx([45.0, 45.0])
    assert found.busy == pytest.approx([90.0, 90.0])


def test_no_op_loses_more_than_most_of_its_time() -> None:
    """The small op would have to give 50 of its 10; the other gives what it cannot."""
    found = untraced(timeline([90.0, 10.0], [10, 50]), NOTHING_WAITS, 60.0, 0.0)
    assert found.wall == pytest.approx([38.0, 2.0])


def test_a_step_that_recording_did_not_slow_down_stays() -> None:
    before = timeline([61.0, 80.0], [1, 40])
    found = untraced(before, NOTHING_WAITS, -20.0, 0.0)
    assert (found.wall.tolist(), found.total) == (before.wall.tolist(), before.total)


@pytest.mark.parametrize("waiting", [0.0, 0.3, 1.0])
def test_waiting_is_what_was_measured_without_tracing(waiting: float) -> None:
    """Of a traced step of 100: 40 of waiting (op 1), 40 of work, of which recording is 10, and 20 idle."""
    before = Timeline(np.array([40.0, 40.0]), np.zeros(2), np.array([40.0, 40.0]), np.array([4, 1]), 20.0, 100.0)
    found = untraced(before, np.array([False, True]), 10.0, waiting)
    assert found.wall[1] / found.total == pytest.approx(waiting)
    assert found.wall.sum() + found.idle == pytest.approx(found.total)
    if waiting < 1:
        assert (found.wall[0], found.idle) == (pytest.approx(30.0), 20.0)


@given(
    st.lists(st.tuples(st.floats(0, 1e6), st.integers(0, 1000)), min_size=1, max_size=20),
    st.floats(0, 1e6),
    st.floats(0, 3e6),
)
def test_what_is_left_adds_up(ops: list[tuple[float, int]], idle: float, recording: float) -> None:
    before = timeline([wall for wall, _ in ops], [count for _, count in ops], idle=idle + 1.0)
    found = untraced(before, np.zeros(len(ops), dtype=bool), recording, 0.0)
    assert found.wall.sum() + found.idle == pytest.approx(found.total)
    assert (found.wall <= before.wall + 1e-6).all()
    assert (found.wall >= 0.2 * before.wall - 1e-6).all()
    assert found.total >= before.total - recording - 1e-6 * before.total
