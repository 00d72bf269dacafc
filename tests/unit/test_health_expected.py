"""What an initializer gives, against sampled layers; and how gains are drawn from sizes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tfopt.pathways.health.expected import FUNCTIONS, expected_gains, glorot_std, he_std, initial_std
from tfopt.pathways.health.gains import gain, levels


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("input_rms", [0.3, 2.0])
def test_expected_gains_are_those_of_sampled_layers(name: str, input_rms: float) -> None:
    rng = np.random.default_rng(3)
    wide, std = 400, initial_std(name, (400, 600))
    kernel = rng.normal(0, std, (wide, 600))
    x = rng.normal(0.4, 1, (400, wide))  # a mean that is not 0 changes nothing: weights have mean 0
    x *= input_rms / math.sqrt((x**2).mean())
    function, step = FUNCTIONS[name], 1e-6
    before = x @ kernel
    slopes = (function(before + step) - function(before - step)) / (2 * step)
    gradient = rng.normal(0, 1, before.shape)
    forward = math.sqrt((function(before) ** 2).mean()) / input_rms
    backward = np.linalg.norm((gradient * slopes) @ kernel.T) / np.linalg.norm(gradient)
    # A fan-out of 600 gives each input that many gradients: the norm's gain is √(fan-in) · std · rms of slopes.
    expected = expected_gains(name, wide, std, input_rms)
    assert expected is not None
    assert forward == pytest.approx(expected[0], rel=0.03)
    assert backward == pytest.approx(expected[1], rel=0.03)


def test_he_keeps_a_relu_net_and_glorot_a_linear_one() -> None:
    assert expected_gains("relu", 64, he_std(64), 3.0) == pytest.approx((1, 1), rel=1e-6)
    assert expected_gains("linear", 64, glorot_std(64, 64), 0.1) == pytest.approx((1, 1), rel=1e-6)
    relu = expected_gains("relu", 64, glorot_std(64, 64), 1.0)
    assert relu == pytest.approx((math.sqrt(0.5), math.sqrt(0.5)), rel=1e-6)


def test_no_gain_where_nothing_is_known() -> None:
    assert expected_gains("mystery", 64, 1.0, 1.0) is None
    assert expected_gains("relu", 64, 1.0, 0.0) is None


def test_the_mean_gain_is_geometric_over_depth() -> None:
    found = gain(levels([(1, 8.0), (2, 4.0), (2, 1.0), (4, 1.0)]), [1.0, 4.0, None])
    assert found is not None
    assert found.steps == 3
    assert found.mean == pytest.approx((1 / 8) ** (1 / 3))
    assert found.median == pytest.approx((2 / 8 + (1 / 2) ** 0.5) / 2)
    assert found.expected == pytest.approx(2)


def test_one_pooling_moves_the_mean_and_not_the_median() -> None:
    found = gain(levels([(1, 1.0), (2, 1.0), (3, 1.0), (4, 1.0), (5, 0.02)]))
    assert found is not None
    assert found.mean < 0.5
    assert found.median == 1


def test_a_signal_that_dies_has_gain_zero_and_a_branch_of_zeros_none() -> None:
    died = gain(levels([(1, 1.0), (2, 1e-3), (3, 0.0)]))
    assert died is not None
    assert died.mean == 0
    beside = gain(levels([(1, 1.0), (2, 1.0), (2, 0.0), (3, 1.0)]))
    assert beside is not None
    assert beside.mean == 1
    assert gain(levels([(1, 1.0), (2, 1.0)])) is None
    assert gain(levels([(1, math.nan), (2, 1.0), (3, None), (4, 1.0)])) is None
