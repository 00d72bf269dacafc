"""The timeline against a brute force that walks through every instant, and against sums that must hold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfopt.trace.intervals import exclusive
from tfopt.trace.recording import Op, Recording
from tfopt.trace.timeline import sweep

Event = tuple[int, int, int, int]  # op, thread, start, end


def recording(events: list[Event], steps: list[tuple[int, int]]) -> Recording:
    size = max((event[0] for event in events), default=-1) + 1
    table = np.array(events, dtype=np.int64).reshape(-1, 4)
    ops = tuple(Op("tf", f"op{number}", "T") for number in range(size))
    counted, none, marks = np.ones(len(table), dtype=bool), np.zeros(len(table), dtype=bool), np.array(steps, np.int64)
    threads = tuple(f"thread {number}" for number in range(max(table[:, 1], default=-1) + 1))
    return Recording(ops, *table.T, counted, none, marks, len(events), threads)


def brute_force(events: list[Event], steps: list[tuple[int, int]]) -> tuple[dict[int, float], float]:
    """Exclusive time per op and idle time, instant by instant: the innermost event of each thread is active."""
    wall: dict[int, float] = {}
    idle = 0.0
    for begin, finish in steps:
        for instant in range(begin, finish):
            innermost: dict[int, Event] = {}
            for event in events:
                if event[2] <= instant < event[3]:
                    best = innermost.get(event[1])
                    if best is None or (event[2], -event[3]) >= (best[2], -best[3]):
                        innermost[event[1]] = event
            for event in innermost.values():
                wall[event[0]] = wall.get(event[0], 0.0) + 1 / len(innermost)
            idle += 0.0 if innermost else 1.0
    return wall, idle


@st.composite
def nested_events(draw: st.DrawFn) -> list[Event]:
    """Events that are nested or disjoint on each of up to three threads, as a call stack records them."""
    events: list[Event] = []

    def fill(thread: int, begin: int, finish: int, depth: int) -> None:
        cursor = begin
        while cursor < finish and draw(st.booleans()):
            start = draw(st.integers(cursor, finish - 1))
            end = draw(st.integers(start + 1, finish))
            events.append((draw(st.integers(0, 5)), thread, start, end))
            if depth:
                fill(thread, start, end, depth - 1)
            cursor = end

    for thread in range(draw(st.integers(1, 3))):
        fill(thread, 0, 40, 2)
    return events


@given(nested_events(), st.sampled_from([[(0, 40)], [(5, 15), (20, 33)], [(3, 4)]]))
def test_agrees_with_brute_force(events: list[Event], steps: list[tuple[int, int]]) -> None:
    if not events:
        return
    timeline = sweep(recording(events, steps))
    wall, idle = brute_force(events, steps)
    assert timeline.total == sum(end - start for start, end in steps)
    assert timeline.idle == pytest.approx(idle)
    for op, share in enumerate(timeline.wall):
        assert share == pytest.approx(wall.get(op, 0.0))
    assert timeline.wall.sum() + timeline.idle == pytest.approx(timeline.total)


def test_busy_time_counts_every_thread() -> None:
    timeline = sweep(recording([(0, 1, 0, 10), (0, 2, 0, 10), (1, 3, 5, 10)], [(0, 10)]))
    assert timeline.busy.tolist() == [20.0, 5.0]
    assert timeline.wall.tolist() == pytest.approx([5 + 5 * 2 / 3, 5 / 3])
    assert timeline.count.tolist() == [2, 1]


def test_events_outside_steps_do_not_count() -> None:
    timeline = sweep(recording([(0, 1, 0, 10), (1, 1, 20, 30)], [(12, 25)]))
    assert timeline.wall.tolist() == [0.0, 5.0]
    assert timeline.count.tolist() == [0, 1]
    assert timeline.idle == 8.0


def test_a_tail_is_time_but_not_another_occurrence() -> None:
    tail = replace(recording([(0, 1, 0, 2), (0, -1, 2, 8)], [(0, 10)]), counted=np.array([True, False]))
    timeline = sweep(tail)
    assert timeline.wall.tolist() == [8.0]
    assert timeline.count.tolist() == [1]


def test_a_loop_has_what_its_thunks_leave() -> None:
    """A loop from 0 to 20 (op 0) around thunks from 2 to 5 and, on two threads, from 8 to 12."""
    events = [(0, -1, 0, 20), (1, 0, 2, 5), (1, 0, 8, 12), (2, 1, 8, 12)]
    loop = np.array([True, False, False, False])
    timeline = sweep(replace(recording(events, [(0, 30)]), executor=loop, counted=~loop))
    assert timeline.wall.tolist() == [13.0, 5.0, 2.0]
    assert timeline.executor.tolist() == [13.0, 0.0, 0.0]
    assert timeline.busy.tolist() == [13.0, 7.0, 4.0]
    assert (timeline.idle, timeline.count.tolist()) == (10.0, [0, 2, 1])


def test_what_is_left_out_becomes_idle() -> None:
    timeline = sweep(recording([(0, 1, 0, 4), (1, 1, 4, 7)], [(0, 10)])).only([1])
    assert (timeline.wall.tolist(), timeline.count.tolist(), timeline.idle, timeline.total) == ([3.0], [1], 7.0, 10.0)


def test_waiting_for_data_is_nobody_elses_time() -> None:
    waiting = recording([(0, 1, 0, 6), (1, 2, 2, 9)], [(0, 10)])
    waiting = replace(waiting, ops=(Op("marker", "tfopt:phase:input", ""), waiting.ops[1]))
    timeline = sweep(waiting)
    assert timeline.wall.tolist() == [6.0, 3.0]
    assert timeline.idle == 1.0


def test_exclusive_leaves_disjoint_events_alone() -> None:
    start, end, event = exclusive(np.array([0, 5]), np.array([5, 9]), np.array([1, 1]))
    assert (start.tolist(), end.tolist(), event.tolist()) == ([0, 5], [5, 9], [0, 1])
