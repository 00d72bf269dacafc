"""Two real runs of a small model against each other: every table adds up, layers meet across batches and programs."""

from __future__ import annotations

from math import fsum
from typing import Any

import keras
import pytest
from profiled import profiled

import tfopt
from bench.zoo import ZOO
from tfopt.records.difference import DifferenceRecord


def _profiled(**options: Any) -> tfopt.ProfileRecord:
    """As in a process of its own: the same names."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(1)
    return profiled(ZOO["cnn"](), steps=5, **options)


def assert_adds_up(found: DifferenceRecord) -> None:
    tables = [[row.time for row in rows] for rows in (found.phases, found.types, found.ops)]
    for times in (*tables, [row.own for row in found.layers]):
        for part in ("before_ms", "after_ms", "change_ms"):
            assert fsum(getattr(time, part) for time in times) == pytest.approx(getattr(found.step, part), abs=1e-6)
    for side in ("before_share", "after_share"):
        assert fsum(getattr(row, side) for row in found.matched) == pytest.approx(1)


@pytest.fixture(scope="module")
def small() -> tfopt.ProfileRecord:
    return _profiled(batch_size=8)


def test_another_batch_runs_the_same_ops(small: tfopt.ProfileRecord) -> None:
    found = tfopt.diff(_profiled(batch_size=64), small)
    assert_adds_up(found)
    assert [item.name for item in found.circumstances] == ["batch size"]
    shares = {row.match: min(row.before_share, row.after_share) for row in found.matched}
    assert shares["name"] > 0.8
    assert shares["name"] + shares["type"] > 0.95
    assert {row.presence for row in found.layers} == {"both"}
    convolution = next(row for row in found.layers if row.path == "cnn/conv_1")
    assert convolution.own.change_ms > 0, "eight times the work"
    assert found.step.change_ms > 0


def test_under_xla_the_layers_are_still_the_same(small: tfopt.ProfileRecord) -> None:
    found = tfopt.diff(_profiled(batch_size=8, xla=True), small)
    assert_adds_up(found)
    assert [item.name for item in found.circumstances] == ["program"]
    shares = {row.match: min(row.before_share, row.after_share) for row in found.matched}
    assert shares["place"] > 0.9
    assert {row.presence for row in found.layers} == {"both"}
    assert {row.presence for row in found.types if row.type != "(idle)"} == {"new", "gone"}
