"""The search for the largest batch, on machines and models that are formulas."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfopt.workload.peak.search import Found, Trial, attempt, largest, search

MB = 10**6


@given(st.integers(1, 10**9), st.integers(1, 10**7), st.integers(0, 10**11), st.integers(1, 512), st.integers(1, 5000))
def test_the_largest_batch_is_found_with_few_looks(base: int, each: int, limit: int, start: int, most: int) -> None:
    looks = []

    def size(batch: int) -> int:
        looks.append(batch)
        return base + each * batch

    found = largest(size, limit, min(start, most), most)
    exact = min(max((limit - base) // each, 0), most)
    assert found == exact
    assert len(looks) <= 8
    assert max(looks) <= most


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(0, 20)), min_size=1, max_size=4), st.integers(0, 5000))
def test_sizes_that_bend_are_no_obstacle(lines: list[tuple[int, int]], limit: int) -> None:
    """A peak is the largest of several lines: another moment of the step has it when batches grow."""

    def size(batch: int) -> int:
        return max(base + each * batch for base, each in lines)

    found = largest(size, limit, 32, 100)
    assert found == max((batch for batch in range(1, 101) if size(batch) <= limit), default=0)


class Machine:
    """Runs a batch for real: `true` bytes of it, nothing above `memory`."""

    def __init__(self, true: Callable[[int], int], memory: int = 10**12) -> None:
        self.true, self.memory, self.ran = true, memory, list[int]()

    def run(self, batch: int) -> int | None:
        self.ran.append(batch)
        return None if self.true(batch) > self.memory else self.true(batch)


@pytest.mark.parametrize("factor", [0.7, 0.9, 1.0, 1.1, 1.3])
def test_an_estimate_that_is_off_by_a_factor_is_corrected(factor: float) -> None:
    machine = Machine(lambda batch: round((50 + 3 * batch) * MB * factor))
    found = search(lambda batch: (50 + 3 * batch) * MB, machine.run, 1000 * MB, 10**12, 32)
    assert found.fits
    assert found.over
    assert found.fits.bytes == machine.true(found.fits.batch) <= 1000 * MB
    exact = int((1000 / factor - 50) / 3)
    assert exact * 0.97 <= found.fits.batch <= exact < found.over.batch
    assert machine.ran[-1] == found.fits.batch or found.over_ran
    assert len(machine.ran) <= 3


def test_steps_that_differ_from_run_to_run_are_not_run_again_and_again() -> None:
    """An MLP on two threads took each time a little more than the time before had promised."""
    more = iter([1.008, 1.013, 1.016, 1.021, 1.077, 1.05])
    ran = []

    def run(batch: int) -> int:
        ran.append(batch)
        return round(20_000 * batch * next(more))

    found = search(lambda batch: 20_000 * batch, run, 40 * MB, 10**12, 32)
    assert found.fits
    assert found.fits.bytes
    assert 38 * MB < found.fits.bytes <= 40 * MB
    assert len(ran) <= 3


def test_what_fits_was_run_and_what_does_not_is_larger() -> None:
    found = search(lambda batch: 10 * batch, Machine(lambda batch: 10 * batch).run, 1005, 10**6, 32)
    assert found == Found(Trial(100, 1000), Trial(101, 1010), over_ran=False)


def test_not_even_one_example_fits_and_that_was_tried() -> None:
    machine = Machine(lambda batch: 500 + batch)
    assert search(lambda batch: 500 + batch, machine.run, 400, 10**6, 32) == Found(None, Trial(1, 501), over_ran=True)
    assert machine.ran == [1]


def test_nothing_is_run_that_this_machine_cannot_hold() -> None:
    machine = Machine(lambda batch: 10 * batch)
    found = search(lambda batch: 10 * batch, machine.run, 10_000, 500, 32)
    assert found == Found(Trial(50, 500), None, over_ran=False, machine=True)
    assert machine.ran == [50]
    machine = Machine(lambda batch: 10 * batch)
    assert search(lambda batch: 10 * batch, machine.run, 100, 5, 32) == Found(None, None, False, machine=True)
    assert machine.ran == []


def test_a_process_that_was_killed_is_a_batch_that_does_not_fit() -> None:
    machine = Machine(lambda batch: 15 * batch, memory=900)
    found = search(lambda batch: 10 * batch, machine.run, 1000, 10**6, 32)
    assert machine.ran[0] == 100
    assert found.fits
    assert found.over
    assert found.over.bytes is None
    assert 55 <= found.fits.batch <= 60 < found.over.batch <= 63


def test_no_more_examples_than_there_are() -> None:
    found = search(lambda batch: 10 * batch, Machine(lambda batch: 10 * batch).run, 10**6, 10**9, 32, most=7)
    assert found == Found(Trial(7, 70), None, over_ran=False)


def test_a_batch_that_cannot_change_is_tried_once() -> None:
    machine = Machine(lambda batch: 10 * batch)
    assert attempt(8, lambda batch: 11 * batch, machine.run, 100, 10**6) == Found(Trial(8, 80), None, False)
    assert attempt(8, lambda batch: 11 * batch, machine.run, 79, 10**6) == Found(None, Trial(8, 80), over_ran=True)
    assert machine.ran == [8, 8]
    assert attempt(8, lambda batch: 11 * batch, machine.run, 100, 87) == Found(None, None, False, machine=True)
    assert machine.ran == [8, 8]


def test_memory_that_grows_by_leaps_is_closed_in_upon() -> None:
    """TensorFlow's regions double: what a batch takes may leap where the estimate is smooth."""
    machine = Machine(lambda batch: 7 * batch + 3000 * (batch > 640))
    found = search(lambda batch: 10 * batch, machine.run, 5000, 10**6, 32)
    assert found.fits
    assert found.over
    assert found.over_ran
    assert found.fits.batch <= 640 < found.over.batch <= found.fits.batch * 1.05
