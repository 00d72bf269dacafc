"""Liveness against a brute force that asks at every op which values anybody still needs, and cases by hand."""

from __future__ import annotations

from dataclasses import replace
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfopt.workload.peak.liveness import Event, alive, events, run_order
from tfopt.workload.peak.program import Kind, Op, Program


@st.composite
def programs(draw: st.DrawFn) -> Program:
    """Up to a dozen ops, each reading some of the values before it; sizes are powers of two, so that sums tell all."""
    ops: list[Op] = []
    values: list[int] = []
    for number in range(draw(st.integers(1, 12))):
        inputs = tuple(draw(st.lists(st.sampled_from(values), max_size=3))) if values else ()
        share = bool(inputs) and draw(st.integers(0, 3)) == 0
        outputs = (2 * number,) if share else tuple(2 * number + k for k in range(draw(st.integers(1, 2))))
        ops.append(
            Op(
                f"op{number}",
                "share" if share else "compute",
                inputs,
                outputs,
                tuple(draw(st.sampled_from((1, 2, 64))) for _ in outputs),
                tuple(sorted(draw(st.sets(st.integers(0, number - 1), max_size=1)))) if number else (),
                tuple(range(len(inputs))) if draw(st.booleans()) else (),
                scratch=draw(st.sampled_from((0, 8))),
                cost=draw(st.sampled_from((0.0, 1e6, 3e6))),
            )
        )
        values.extend(outputs)
    results = tuple(draw(st.sets(st.sampled_from(values), max_size=2)))
    return Program(tuple(ops), results)


def _holder(memories: list[tuple[int, set[int]]], value: int) -> tuple[int, set[int]]:
    return next(memory for memory in memories if value in memory[1])


def brute_force(program: Program, order: list[int]) -> list[int]:
    """Bytes alive while each op runs. A memory is a set of names (values); it lives while somebody needs one."""
    memories: list[tuple[int, set[int]]] = []
    needed = []
    for at, position in enumerate(order):
        op = program.ops[position]
        later = [value for other in order[at + 1 :] for value in program.ops[other].inputs] + list(program.results)

        if op.kind == "share":
            _holder(memories, op.inputs[0])[1].add(op.outputs[0])
        for number, (value, size) in enumerate(zip(op.outputs, op.sizes, strict=True)):
            if op.kind == "share":
                continue
            for candidate in op.reuses if number == 0 else ():
                taken = _holder(memories, op.inputs[candidate])
                reads = sum(name in taken[1] for name in (*op.inputs, *later))
                if taken[0] == size and reads == 1:
                    taken[1].add(value)
                    break
            else:
                memories.append((size, {value}))
        present = {*op.inputs, *op.outputs, *later}
        needed.append(sum(size for size, names in memories if names & present) + op.scratch)
        memories = [memory for memory in memories if memory[1] & set(later)]
    return needed


def most(happened: list[Event]) -> int:
    return max(accumulate(event.bytes for event in happened), default=0)


@given(programs())
def test_the_peak_is_that_of_the_brute_force(program: Program) -> None:
    order = run_order(program)
    sequence = [position for position, starts in order if starts]
    assert order == [moment for position in sequence for moment in ((position, True), (position, False))]
    assert most(events(program, order)) == max(brute_force(program, sequence))


@given(programs(), st.integers(1, 3))
def test_what_is_made_is_freed_once_and_results_stay(program: Program, threads: int) -> None:
    happened = events(program, run_order(program, threads))
    held: dict[int, int] = {}
    for event in happened:
        if event.bytes > 0:
            assert event.buffer not in held
            held[event.buffer] = event.bytes
        else:
            assert held.pop(event.buffer) == -event.bytes
    assert {event.buffer for event in alive(happened, len(happened) - 1)} == set(held)
    made = {value: size for op in program.ops for value, size in zip(op.outputs, op.sizes, strict=True)}
    assert sum(held.values()) <= sum(made[value] for value in program.results) + 64 * len(program.results)
    assert bool(held) == bool(program.results)


@given(programs(), st.integers(1, 3))
def test_no_op_starts_before_what_it_needs_has_ended(program: Program, threads: int) -> None:
    order = run_order(program, threads)
    time = {moment: at for at, moment in enumerate(order)}
    maker = {value: position for position, op in enumerate(program.ops) for value in op.outputs}
    for position, op in enumerate(program.ops):
        for need in (*op.after, *(maker[value] for value in op.inputs)):
            assert time[need, False] < time[position, True] < time[position, False]
    assert max(accumulate(1 if starts else -1 for _, starts in order)) <= threads


def test_ops_that_wait_for_one_another_are_an_error() -> None:
    with pytest.raises(ValueError, match="2 ops wait"):
        run_order(Program((Op("a", after=(1,)), Op("b", after=(0,)))))


# A variable w (handle 0, 100 bytes) is read and updated.
READ = Op("read", "read", (0,), (1,), (100,))
UPDATE = Op("update", "update", (0,), after=(0,))


def test_a_variable_that_nobody_reads_any_more_is_updated_in_place() -> None:
    use = Op("use", "compute", (1,), (2,), (10,))
    happened = events(
        Program((READ, use, replace(UPDATE, after=(1,))), (), {0: 100}),
        [(0, True), (0, False), (1, True), (1, False), (2, True), (2, False)],
    )
    assert most(happened) == 110


def test_a_variable_that_somebody_still_needs_is_copied() -> None:
    use = Op("use", "compute", (1,), (2,), (10,), after=(2,))
    happened = events(Program((READ, use, UPDATE), (), {0: 100}), run_order(Program((READ, use, UPDATE), (), {0: 100})))
    assert most(happened) == 210
    assert sum(event.bytes for event in happened) == 100


@pytest.mark.parametrize("kind", ["read", "assign", "update"])
def test_a_handle_that_nobody_knows_holds_nothing(kind: Kind) -> None:
    value = Op("value", "compute", (), (1,), (100,))
    store = Op("store", kind, (0, 1) if kind != "read" else (0,), (2,) if kind == "read" else ())
    program = Program((value, store))
    assert sum(event.bytes for event in events(program, run_order(program)) if event.bytes > 0) == 100


def test_an_assigned_tensor_takes_the_place_of_the_old_value() -> None:
    ops = (Op("new", "compute", (), (1,), (100,)), Op("assign", "assign", (0, 1)))
    happened = events(Program(ops, (), {0: 100}), run_order(Program(ops)))
    assert (most(happened), sum(event.bytes for event in happened)) == (200, 100)


def test_a_list_keeps_its_tensors_until_they_are_popped() -> None:
    ops = (
        Op("empty", "free", (), (0,)),
        Op("one", "compute", (), (1,), (10,)),
        Op("first", "push", (0, 1), (2,)),
        Op("two", "compute", (), (3,), (20,), after=(2,)),
        Op("second", "push", (2, 3), (4,)),
        Op("pop", "pop", (4,), (5, 6)),
        Op("use", "compute", (6,), (7,), (1,)),
        Op("again", "pop", (5,), (8, 9), after=(6,)),
        Op("end", "compute", (9,), (10,), (1,)),
    )
    happened = events(Program(ops), run_order(Program(ops)))
    line = {event.op: total for event, total in zip(happened, accumulate(e.bytes for e in happened), strict=True)}
    assert line[3] == 30  # both are in the list
    assert line[6] == 10  # the second is gone when its user is
    assert line[8] == 0


def test_a_loop_that_is_cut_short_keeps_as_much_as_the_whole() -> None:
    def kept(weight: float) -> int:
        ops = (
            Op("empty", "free", (), (0,)),
            Op("make", "compute", (), (1,), (10,)),
            Op("keep", "push", (0, 1), (2,), weight=weight),
            Op("also", "push", (2, 1), (3,), weight=weight),  # the same tensor counts once
        )
        return sum(event.bytes for event in events(Program(ops, (3,)), run_order(Program(ops, (3,)))))

    assert (kept(1.0), kept(4.0)) == (10, 40)
