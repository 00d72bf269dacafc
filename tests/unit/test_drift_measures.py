"""Distances between arrays and paired differences, against closed forms."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest

from tfopt.records.comparison import Drift
from tfopt.workload.drift.computed import Computed, Output, drift_between
from tfopt.workload.drift.measures import TINY, agreement, distance
from tfopt.workload.drift.messages import Drifted, DriftMessage
from tfopt.workload.drift.paired import Metrics, metric_drifts, paired


def _array(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


def test_an_array_has_no_distance_from_itself() -> None:
    values = np.random.default_rng(0).standard_normal(10_000).astype(np.float32)
    found = distance([(values, values.copy())])
    assert (found.max_abs, found.max_rel, found.relative_l2, found.cosine) == (0.0, 0.0, 0.0, 1.0)
    assert (found.nonfinite, found.underflow, found.compared) == (0, 0, 10_000)


def test_distances_by_hand() -> None:
    found = distance([(_array(3, 4), _array(4, 3))])
    assert found.max_abs == 1.0
    assert found.max_rel == 0.25
    assert found.cosine == pytest.approx(24 / 25)
    assert found.relative_l2 == pytest.approx(math.sqrt(2) / 5)


def test_pieces_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    pairs = [(rng.standard_normal((7, 5)), rng.standard_normal((7, 5))) for _ in range(3)]
    whole = distance(pairs)
    monkeypatch.setattr("tfopt.workload.drift.measures._PIECE", 4)
    small = distance(pairs)
    assert small.relative_l2 == pytest.approx(whole.relative_l2)
    assert small.max_abs == whole.max_abs
    assert small.compared == 105


def test_one_planted_change_shows() -> None:
    reference = np.ones(1_000_000, np.float32)
    variant = reference.copy()
    variant[123_456] += 1e-3
    found = distance([(reference, variant)])
    assert found.max_abs == pytest.approx(1e-3, rel=1e-3)
    assert found.relative_l2 == pytest.approx(1e-6, rel=1e-3)


def test_what_is_not_finite_is_counted_and_left_out() -> None:
    found = distance([(_array(1, 2, math.nan, 4), _array(1, math.inf, 3, math.nan))])
    assert (found.nonfinite, found.compared, found.max_abs) == (2, 1, 0.0)
    lost = distance([(_array(1, 2), _array(math.nan, math.nan))])
    assert (lost.nonfinite, lost.cosine, lost.relative_l2, lost.max_rel) == (2, None, None, None)


def test_zeros_have_no_direction() -> None:
    assert distance([(_array(0, 0), _array(0, 0))]).cosine == 1.0
    assert distance([(_array(0, 0), _array(1, 0))]).cosine is None
    assert distance([(_array(0, 0), _array(1, 0))]).relative_l2 is None


def test_underflow_is_what_the_half_precision_lost() -> None:
    reference = _array(1.0, 1e-3, 1e-6, 1e-9, 0.0)
    variant = _array(1.0, 1e-3, 1e-6, 0.0, 0.0)
    assert distance([(reference, variant)], tiny=TINY["float16"]).underflow == 2  # 1e-6 is subnormal in float16
    assert distance([(reference, variant)], tiny=TINY["bfloat16"]).underflow == 1
    scaled = distance([(reference, variant * 1024)], scale=1024.0, tiny=TINY["float16"])
    assert scaled.underflow == 1  # loss scaling saves the subnormal one
    assert scaled.max_abs == pytest.approx(1e-9)


def test_agreement() -> None:
    one = np.array([[0.1, 0.9], [0.8, 0.2]])
    other = np.array([[0.4, 0.6], [0.3, 0.7]])
    assert agreement(one, other, None) == 0.5
    assert agreement(np.array([[0.4], [0.6], [0.7]]), np.array([[0.6], [0.7], [0.8]]), 0.5) == pytest.approx(2 / 3)
    assert agreement(np.zeros((0, 2)), np.zeros((0, 2)), None) is None


def test_what_is_not_finite_decides_nothing() -> None:
    """NaN on both sides is no agreement: argmax and comparisons would give the same answer."""
    lost, sound = np.array([[math.nan, 0.9], [0.8, 0.2]]), np.array([[0.1, 0.9], [0.8, 0.2]])
    assert agreement(sound, lost, None) == 0.5
    assert agreement(lost, lost, None) == 1.0  # of the one decision that the reference made
    assert agreement(lost * math.nan, lost, None) is None
    assert agreement(np.array([[0.1], [0.7]]), np.array([[math.nan], [0.6]]), 0.5) == 0.5


def test_only_outputs_of_one_shape_are_compared() -> None:
    one = Computed((Output("a", np.ones((2, 3))), Output("b", np.ones((2, 1)))))
    other = Computed((Output("a", np.ones((2, 4))), Output("b", np.zeros((2, 1)))))
    found = drift_between("x", "graph", 2, one, other)
    assert [output.name for output in found.outputs] == ["b"]
    assert found.gradient is None


def test_gradients_are_compared_without_their_scale() -> None:
    values = np.random.default_rng(2).standard_normal((3, 4)).astype(np.float32)
    one = Computed((), 1.0, {("m/a", "Dense"): [values], ("m/gone", "Dense"): [values]})
    other = Computed((), 1.5, {("m/a", "Dense"): [values * 1024]}, scale=1024.0)
    found = drift_between("x", "graph", 2, one, other)
    assert [(row.layer, row.relative_l2) for row in found.layers] == [("m/a", 0.0)]
    assert (found.reference_loss, found.loss, found.loss_scale) == (1.0, 1.5, 1024.0)


def test_a_loss_that_is_no_number_is_counted() -> None:
    found = drift_between("x", "graph", 2, Computed((), 1.0, {}), Computed((), math.nan, {}))
    assert (found.loss, found.nonfinite_losses) == (None, 1)


def test_equal_predictions_leave_room_for_a_difference() -> None:
    """No sample in 100 told the two apart: the rate may still be some percent (rule of three: 3 %)."""
    same = np.ones(100)
    found = paired(same, same, binary=True)
    assert found.difference == 0.0
    assert found.high is not None
    assert found.low is not None
    assert found.low == -found.high
    assert 0.02 < found.high < 0.035


def test_paired_proportions_by_hand() -> None:
    """8 gained and 2 lost of 100: Bonett and Price's formula."""
    one = np.array([0.0] * 8 + [1.0] * 2 + [1.0] * 90)
    other = np.array([1.0] * 8 + [0.0] * 2 + [1.0] * 90)
    found = paired(one, other, binary=True)
    p, q = 9 / 102, 3 / 102
    half = 1.959964 * math.sqrt((p + q - (p - q) ** 2) / 102)
    assert found.difference == pytest.approx(0.06)
    assert found.low == pytest.approx(p - q - half, abs=1e-6)
    assert found.high == pytest.approx(p - q + half, abs=1e-6)


def test_pairing_takes_out_what_both_share() -> None:
    """Samples differ by far more than the programs do: unpaired, nothing could be told."""
    rng = np.random.default_rng(3)
    one = rng.standard_normal(400) * 10
    other = one + 0.1 + rng.standard_normal(400) * 0.1
    found = paired(one, other, binary=False)
    assert found.low is not None
    assert found.high is not None
    assert 0.08 < found.low < 0.1 < found.high < 0.12
    assert found.high - found.low == pytest.approx(2 * 1.96 * np.std(other - one, ddof=1) / 20, rel=1e-3)


def test_coverage_of_the_interval_of_paired_proportions() -> None:
    """The true difference of 2 % (4 % gained, 2 % lost) lies in 93 to 98 % of the intervals."""
    rng = np.random.default_rng(4)
    hits, trials = 0, 2000
    for _ in range(trials):
        chance = rng.random(300)
        one, other = (chance >= 0.04).astype(float), ((chance < 0.04) | (chance >= 0.06)).astype(float)
        found = paired(one, other, binary=True)
        assert found.low is not None
        assert found.high is not None
        hits += found.low <= 0.02 <= found.high
    assert 0.93 <= hits / trials <= 0.98


def test_a_metric_that_is_no_number_survives_the_way_to_the_parent() -> None:
    """JSON has no NaN: what cannot be said must be null on both ends."""
    reference: Metrics = {("loss", 0): ("a", np.array([1.0, 2.0, 3.0]))}
    variant: Metrics = {("loss", 0): ("a", np.array([1.0, math.nan, math.inf]))}
    drifts = metric_drifts(reference, variant)
    (row,) = drifts
    assert (row.reference, row.variant, row.difference, row.low, row.nonfinite) == (2.0, None, None, None, 2)
    said = Drifted("x", Drift(label="x", reference="graph", batch_size=8, metrics=drifts))
    assert msgspec.json.decode(msgspec.json.encode(said), type=DriftMessage) == said


def test_metrics_of_outputs_with_other_names_are_told_by_position() -> None:
    values = np.array([1.0, 2.0])
    one: Metrics = {("loss", 0): ("probabilities", values), ("loss", 1): ("box", values)}
    other: Metrics = {("loss", 0): ("classes", values), ("loss", 1): ("place", values + 1), ("mae", 1): ("x", values)}
    rows = [(row.output, row.difference) for row in metric_drifts(one, other)]
    assert rows == [("probabilities", 0.0), ("box", 1.0)]


def test_one_sample_has_no_interval() -> None:
    assert paired([1.0], [2.0], binary=False)[3:5] == (None, None)
