"""One weight at a time, and back."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.unit.prunables_for_tests import prunable
from tfopt.pruning.sensitivity import SPARSITIES, sensitivity

FIRST = np.array([[4.0, -3, 2, 1]])
SECOND = np.array([[5.0], [-0.0], [7]])


def test_each_weight_is_pruned_alone_and_comes_back_bit_for_bit() -> None:
    weights = [prunable(FIRST, path="a/kernel"), prunable(SECOND, path="b/kernel")]

    def metric() -> float:
        return float(sum(np.abs(weight.values).sum() for weight in weights))

    found = sensitivity(weights, [np.abs(FIRST), np.abs(SECOND)], metric, sparsities=(0.25, 0.5, 2 / 3))
    assert [(point.path, point.value) for point in found] == [
        ("a/kernel", 9 + 12),
        ("a/kernel", 7 + 12),
        ("a/kernel", 4 + 12),
        ("b/kernel", 10 + 12),
        ("b/kernel", 10 + 7),
        ("b/kernel", 10 + 7),
    ]
    for weight, values in zip(weights, (FIRST, SECOND), strict=True):
        assert weight.values.tobytes() == values.astype("float32").tobytes()


def test_a_metric_that_fails_leaves_the_weights_as_they_were() -> None:
    weight = prunable(FIRST)
    with pytest.raises(ZeroDivisionError):
        sensitivity([weight], [np.abs(FIRST)], lambda: 1 / 0)
    assert weight.values.tobytes() == FIRST.astype("float32").tobytes()


def test_a_metric_that_is_no_number_is_none() -> None:
    found = sensitivity([prunable(FIRST)], [np.abs(FIRST)], lambda: math.nan)
    assert [(point.sparsity, point.value) for point in found] == [(sparsity, None) for sparsity in SPARSITIES]
