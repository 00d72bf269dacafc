"""The accuracy gates: what passes, what fails, and that nothing passes by being absent."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tfopt.checks.accuracy import accuracy_gates, defaulted
from tfopt.records.check import Gate, GateVerdict
from tfopt.records.check_settings import AccuracySettings
from tfopt.records.comparison import Drift, MetricDrift, OutputDrift
from tfopt.workload.drift.paired import metric_drifts

SAME: dict[str, Any] = {"max_abs": 0.0, "max_rel": 0.0, "cosine": 1.0, "agreement": 1.0}


def output(name: str = "out", **fields: Any) -> OutputDrift:
    return OutputDrift(name=name, shape=(16, 3), **{**SAME, "nonfinite": 0, **fields})


def drift(*outputs: OutputDrift, metrics: tuple[MetricDrift, ...] = ()) -> Drift:
    return Drift(label="m", reference="b", batch_size=16, outputs=outputs, metrics=metrics)


def one(found: Drift, itself: Drift | None = None, **limits: Any) -> Gate:
    (gate,) = accuracy_gates(found, itself or drift(output()), AccuracySettings(**limits))
    return gate


@pytest.mark.parametrize(
    ("limits", "fields", "expected"),
    [
        ({"max_rel": 1e-3}, {"max_rel": 1e-4}, "PASS"),
        ({"max_rel": 1e-3}, {"max_rel": 2e-3}, "FAIL"),
        ({"max_rel": 0.0}, {"max_rel": 0.0}, "PASS"),
        ({"max_rel": 1e-3}, {"max_rel": None}, "ERROR"),
        ({"min_cosine": 0.99}, {"cosine": 0.995}, "PASS"),
        ({"min_cosine": 0.99}, {"cosine": -1.0}, "FAIL"),
        ({"min_cosine": 0.99}, {"cosine": None}, "ERROR"),
        ({"min_agreement": 0.9}, {"agreement": 0.9}, "PASS"),
        ({"min_agreement": 0.9}, {"agreement": 0.8}, "FAIL"),
        ({"max_rel": 1e-3}, {"nonfinite": 1}, "FAIL"),
    ],
)
def test_outputs(limits: dict[str, float], fields: dict[str, Any], expected: GateVerdict) -> None:
    assert one(drift(output(**fields)), **limits).verdict == expected


def test_an_output_that_is_missing_or_has_another_shape_fails() -> None:
    gates = accuracy_gates(drift(output("a")), drift(output("a"), output("b")), AccuracySettings(max_rel=1.0))
    assert [(gate.verdict, gate.message.partition(":")[0]) for gate in gates] == [("PASS", "a"), ("FAIL", "b")]


def test_a_baseline_that_is_no_number_or_nothing_is_an_error() -> None:
    assert one(drift(output()), drift(output(reference_nonfinite=3)), max_rel=1.0).verdict == "ERROR"
    assert one(drift(), drift(), max_rel=1.0).verdict == "ERROR"
    silent = drift(output(agreement=None))
    assert one(silent, silent, min_agreement=0.9).verdict == "ERROR"


def test_a_baseline_that_differs_from_itself_cannot_fail_anybody() -> None:
    noisy = drift(output(max_rel=0.5))
    assert one(drift(output(max_rel=0.4)), noisy, max_rel=0.1).verdict == "INCONCLUSIVE"
    assert one(drift(output(max_rel=0.05)), noisy, max_rel=0.1).verdict == "PASS"


def accuracies(before: int, after: int, samples: int) -> tuple[MetricDrift, ...]:
    """Of a classifier that gets the first so many samples right."""
    right = [(np.arange(samples) < count).astype(float) for count in (before, after)]
    return metric_drifts(*({("accuracy", 0): ("classes", values)} for values in right))


@pytest.mark.parametrize(
    ("before", "after", "samples", "expected"),
    [
        (900, 900, 1000, "PASS"),
        (900, 850, 1000, "FAIL"),
        (900, 885, 1000, "INCONCLUSIVE"),  # 1.5 % lost, and perhaps 0.7 %
        (900, 950, 1000, "IMPROVED"),
        (9, 9, 10, "INCONCLUSIVE"),  # ten samples tell nothing of 1 %
        (1, 0, 1, "INCONCLUSIVE"),
    ],
)
def test_accuracy_on_data(before: int, after: int, samples: int, expected: GateVerdict) -> None:
    gate = one(drift(output(), metrics=accuracies(before, after, samples)), max_accuracy_drop=0.01)
    assert gate.verdict == expected
    assert f"over {samples:,} sample" in gate.message


def losses(reference: Any, variant: Any) -> tuple[MetricDrift, ...]:
    return metric_drifts({("mse", 0): ("y", np.asarray(reference))}, {("mse", 0): ("y", np.asarray(variant))})


@pytest.mark.parametrize(
    ("factor", "expected"), [(1.0, "PASS"), (1.2, "FAIL"), (0.8, "IMPROVED"), (1.05001, "INCONCLUSIVE")]
)
def test_a_loss_is_worse_when_it_is_more(factor: float, expected: GateVerdict) -> None:
    reference = np.random.default_rng(0).uniform(1.0, 2.0, 500)
    gate = one(drift(output(), metrics=losses(reference, reference * factor)), max_loss_increase=0.05)
    assert gate.verdict == expected
    assert gate.value == pytest.approx(factor - 1, abs=1e-9)


def test_metrics_that_are_no_numbers_never_pass() -> None:
    good, bad = [1.0, 1.0, 1.0], [1.0, float("nan"), 1.0]
    assert one(drift(output(), metrics=losses(good, bad)), max_loss_increase=0.05).verdict == "FAIL"
    assert one(drift(output(), metrics=losses(bad, good)), max_loss_increase=0.05).verdict == "ERROR"
    assert one(drift(output(), metrics=losses([0.0] * 3, [0.0] * 3)), max_loss_increase=0.05).verdict == "ERROR"


@pytest.mark.parametrize("limit", ["max_accuracy_drop", "max_loss_increase"])
def test_no_samples_are_an_error(limit: str) -> None:
    assert one(drift(output()), **{limit: 1.0}).verdict == "ERROR"


def test_limits_that_nobody_set() -> None:
    nothing = AccuracySettings(samples=50)
    assert defaulted(nothing, drift(output()), data=False) == AccuracySettings(samples=50, min_cosine=0.99)
    assert defaulted(nothing, drift(output()), data=True).max_accuracy_drop == 0.01
    known = drift(output(), metrics=accuracies(9, 9, 10))
    assert defaulted(nothing, known, data=True).max_accuracy_drop == 0.01
    loss = drift(output(), metrics=losses([1.0, 2.0], [1.0, 2.0]))
    assert defaulted(nothing, loss, data=True) == AccuracySettings(samples=50, max_loss_increase=0.01)
    mine = AccuracySettings(max_rel=0.1)
    assert defaulted(mine, loss, data=True) is mine
