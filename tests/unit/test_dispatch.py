"""The executor's own time: whose it is, on threads written event by event, and that no instant counts twice."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tfopt.trace.dispatch import ExecutorKinds, dispatch
from tfopt.trace.intervals import coverage
from tfopt.trace.xspace import EventKind, Line

PROCESS, HAND_ON, SCHEDULE, A, B = range(5)
KINDS = {
    PROCESS: EventKind("ExecutorState::Process"),
    HAND_ON: EventKind("ExecutorPropagateOutputs"),
    SCHEDULE: EventKind("ExecutorState::ScheduleReady"),
    A: EventKind("a:Mul"),
    B: EventKind("b:Add"),
}
Event = tuple[int, int, int]  # kind, start, end


def pieces(events: list[Event]) -> list[tuple[int, int, int]]:
    """(start, end, position of the owner) of the executor's pieces on a thread with these events."""
    kind, start, end = np.array(events, dtype=np.int64).reshape(-1, 3).T
    line = Line(1, "tf_Compute/1", kind, start, end, {})
    found = dispatch(line, ExecutorKinds.among(KINDS), np.isin(kind, [A, B]))
    return list(zip(found.start.tolist(), found.end.tolist(), found.owner.tolist(), strict=True))


def test_before_and_after_an_op_the_executor_works_for_it() -> None:
    events = [(PROCESS, 0, 100), (A, 10, 20), (HAND_ON, 22, 25), (SCHEDULE, 26, 30), (B, 40, 60), (HAND_ON, 62, 70)]
    assert pieces(events) == [(0, 10, 1), (20, 30, 1), (30, 40, 4), (60, 100, 4)]


def test_what_is_handed_on_without_an_op_names_itself() -> None:
    """Two in a row are handed on: the first is the op's, the second has no op of its own, say a constant."""
    events = [(PROCESS, 0, 50), (A, 5, 10), (HAND_ON, 11, 14), (HAND_ON, 16, 19), (B, 20, 30), (HAND_ON, 31, 40)]
    assert pieces(events) == [(0, 5, 1), (10, 14, 1), (14, 19, 3), (19, 20, 4), (30, 50, 4)]


def test_only_the_executor_is_shared_out() -> None:
    """Between two Process events the thread waits for work; without any, nothing is known."""
    events = [(PROCESS, 0, 20), (A, 5, 10), (HAND_ON, 11, 14), (PROCESS, 60, 80), (B, 65, 70), (HAND_ON, 71, 78)]
    assert pieces(events) == [(0, 5, 1), (10, 20, 1), (60, 65, 4), (70, 80, 4)]
    assert pieces([(A, 5, 10), (HAND_ON, 11, 14)]) == []
    assert pieces([]) == []


def test_a_stretch_without_any_op_is_nobodys() -> None:
    """Another Process, before or after, knows nothing of it."""
    busy = [(PROCESS, 20, 40), (A, 25, 30), (HAND_ON, 31, 38)]
    assert pieces([(PROCESS, 0, 10), *busy]) == [(20, 25, 2), (30, 40, 2)]
    assert pieces([*busy, (PROCESS, 50, 60)]) == [(20, 25, 1), (30, 40, 1)]


def test_what_is_handed_on_as_the_next_op_begins_is_the_last_one_s() -> None:
    events = [(PROCESS, 0, 40), (A, 5, 10), (HAND_ON, 12, 20), (B, 20, 30), (HAND_ON, 31, 38)]
    assert pieces(events) == [(0, 5, 1), (10, 20, 1), (30, 40, 3)]


@st.composite
def threads(draw: st.DrawFn) -> list[Event]:
    """Process events one after another, each with ops and handings-on one after another inside. None lacks an event
    that says whom it worked for."""
    events, now = [], 0
    for _ in range(draw(st.integers(1, 4))):
        now += draw(st.integers(0, 5))
        first = now
        for kind in (*draw(st.lists(st.sampled_from([HAND_ON, SCHEDULE, A, B]), max_size=8)), HAND_ON):
            begin = now + draw(st.integers(0, 3))
            now = begin + draw(st.integers(1, 4))
            events.append((kind, begin, now))
        now += draw(st.integers(1, 3))
        events.append((PROCESS, first, now))
    return events


@given(threads())
def test_pieces_and_ops_are_all_of_the_executors_time_once(events: list[Event]) -> None:
    kind, start, end = np.array(events, dtype=np.int64).T
    found = pieces(events)
    if HAND_ON not in kind:
        assert found == []
        return
    piece = np.array(found, dtype=np.int64).reshape(-1, 3)
    edges = np.arange(int(end.max()) + 1)
    process, op = kind == PROCESS, np.isin(kind, [A, B])
    executing = coverage(edges, start[process], end[process]) > 0
    busy = coverage(edges, start[op], end[op]) > 0
    shared_out = coverage(edges, piece[:, 0], piece[:, 1])
    assert np.array_equal(shared_out, (executing & ~busy).astype(np.int64))
    assert set(kind[piece[:, 2]]) <= {HAND_ON, A, B}
