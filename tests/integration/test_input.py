"""Waiting for data is shown as it is known to be: pipelines that sleep, alone and beside a step of known length.

Delays are long against the noise of a busy machine; where one measurement misses, the middle of three counts.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from keras import layers

from bench.input import MODES, network, run, waited
from tests.readers import read_chrome
from tfopt.records.profile import ProfileRecord
from tfopt.report import render

TRUE = 0.10
WORK_MS = 60.0


class Slow(layers.Layer):  # type: ignore[misc]
    """Takes `WORK_MS` to hand its input on."""

    def call(self, x: Any) -> Any:
        def slowly(values: Any) -> Any:
            time.sleep(WORK_MS / 1000)
            return values

        return tf.ensure_shape(tf.numpy_function(slowly, (x,), tf.float32), x.shape)


def error_of(measure: Callable[[], float]) -> float:
    first = measure()
    return first if abs(first) <= TRUE else statistics.median([first, measure(), measure()])


@pytest.mark.parametrize("mode", MODES)
def test_waiting_is_true_although_tracing_slows_the_step(mode: str, tmp_path: Path) -> None:
    records: list[ProfileRecord] = []

    def measure() -> float:
        record, known = run(network(20), 60, 0, steps=15, trace_steps=3, run_dir=tmp_path, **MODES[mode])
        records.append(record)
        return waited(record) / known - 1

    assert abs(error_of(measure)) <= TRUE
    record = records[-1]
    phases = {row.phase: row for row in record.phases}
    assert waited(record) == pytest.approx(record.step.input_ms)
    assert phases["input"].share * record.step.median_ms == pytest.approx(record.step.input_ms)
    assert sum(row.share for row in record.phases) == pytest.approx(1)
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
        record, made = run(network(2, Slow()), 200, 1, steps=10, trace_steps=3)
        return waited(record) / (made - WORK_MS) - 1

    assert abs(error_of(measure)) <= TRUE


def test_a_pipeline_that_is_ahead_is_hardly_waited_for() -> None:
    record, _ = run(network(2, Slow()), 5, 2, steps=10, trace_steps=2)
    assert waited(record) < 0.1 * WORK_MS
