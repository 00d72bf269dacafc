"""Waiting for data is shown as it is known to be: pipelines that sleep, alone and beside a step of known length.

Delays are long against the noise of a busy machine; where one measurement misses, the middle of three counts.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.input import MODES, run, waited
from tests.readers import read_chrome
from tfopt.records.profile import ProfileRecord
from tfopt.report import render

TRUE = 0.10


def error_of(measure: Callable[[], float]) -> float:
    first = measure()
    return first if abs(first) <= TRUE else statistics.median([first, measure(), measure()])


@pytest.mark.parametrize("mode", MODES)
def test_waiting_is_true_although_tracing_slows_the_step(mode: str, tmp_path: Path) -> None:
    records: list[ProfileRecord] = []

    def measure() -> float:
        record, known = run(150, 20, steps=9, trace_steps=3, run_dir=tmp_path, **MODES[mode])
        records.append(record)
        return waited(record) / known - 1

    assert abs(error_of(measure)) <= TRUE
    record = records[-1]
    phases = {row.phase: row for row in record.phases}
    assert waited(record) == pytest.approx(record.step.input_ms)
    assert phases["input"].share * record.step.median_ms == pytest.approx(record.step.input_ms)
    assert sum(row.share for row in record.phases) == pytest.approx(1)
    assert next(row for row in record.layers if row.path == "(input)").share == pytest.approx(phases["input"].share)
    assert record.step.overhead == pytest.approx(record.step.traced_ms / record.step.median_ms - 1)
    traced = [
        slice.end - slice.start
        for _, slices in read_chrome(render(record, format="chrome"))
        for slice in slices
        if slice.category == "input"
    ]
    assert len(traced) == 3
    assert statistics.median(traced) / 1e6 == pytest.approx(record.step.input_ms, rel=0.25)


def test_what_a_step_prepares_beside_itself_is_not_waited_for() -> None:
    def measure() -> float:
        record, known = run(200, 2, 60, ahead=1, steps=10, trace_steps=3)
        return waited(record) / known - 1

    assert abs(error_of(measure)) <= TRUE


def test_a_pipeline_that_is_ahead_is_hardly_waited_for() -> None:
    record, known = run(5, 2, 60, ahead=2, steps=10, trace_steps=2)
    assert known == 0
    assert waited(record) < 6
