"""Each rule of health fires on what it is for, and on nothing healthy."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tfopt.pathways.health.warnings import Facts, warnings_of
from tfopt.records.health import (
    ActivationHealth,
    Gain,
    HealthReport,
    LayerHealth,
    VariableHealth,
)

LAYER = LayerHealth(
    path="m/a",
    type="Dense",
    input_rms=1.0,
    output_rms=1.0,
    gradient_rms=1.0,
    forward_gain=1.0,
    backward_gain=1.0,
    expected_forward_gain=1.0,
)
VARIABLE = VariableHealth(
    path="a/kernel", layer="m/a", shape=(8, 8), norm=1.0, gradient_norm=0.1, ratio=0.1, std_to_he=1.0, std_to_glorot=1.0
)
FUNCTION = ActivationHealth(
    path="m/a",
    function="relu",
    zero=0.5,
    dead=0.0,
    saturated=None,
    gradient_flow=0.7,
    units=8,
    values_per_unit=512,
)
REPORT = HealthReport(
    samples=512,
    loss=1.0,
    loss_function="mean_squared_error",
    forward_gain=1.0,
    backward_gain=1.0,
    forward=Gain(mean=1.0, median=1.0, steps=20),
    backward=Gain(mean=1.0, median=1.0, steps=20),
    layers=(LAYER,),
    activations=(FUNCTION,),
    variables=(VARIABLE,),
    warnings=(),
)


def _with(record: Any, **changes: Any) -> Any:
    return msgspec.structs.replace(record, **changes)


def _ids(report: HealthReport = REPORT, **facts: Any) -> list[str]:
    return [f"{each.severity} {each.id}" for each in warnings_of(Facts(report, **facts))]


def test_a_healthy_report_has_no_warnings() -> None:
    assert _ids() == []
    assert _ids(trained=False) == []


@pytest.mark.parametrize(
    ("mean", "median", "steps", "expected"),
    [
        (0.66, 0.67, 19, ["warning vanishing-{}"]),
        (0.0, 0.3, 19, ["warning vanishing-{}"]),
        (2.56, 2.5, 19, ["warning exploding-{}"]),
        (0.6, 0.6, 5, ["note vanishing-{}"]),
        (0.7, 0.7, 5, []),
        (0.93, 0.94, 19, []),
        (0.79, 1.0, 10, []),  # one pooling
        (0.79, 1.3, 10, []),
        (0.5, 0.5, 3, []),  # too few layers
    ],
)
@pytest.mark.parametrize(("field", "kind"), [("forward", "signal"), ("backward", "gradient")])
def test_gains(mean: float, median: float, steps: int, expected: list[str], field: str, kind: str) -> None:
    report = _with(REPORT, **{field: Gain(mean=mean, median=median, steps=steps, expected=1.0)})
    found = [each.format(kind) for each in expected]
    assert _ids(report, trained=False) == found
    assert _ids(report, trained=True) == [each for each in found if each.startswith("warning")]


def test_the_numbers_are_in_the_evidence() -> None:
    [warning] = warnings_of(Facts(_with(REPORT, forward=Gain(mean=0.659, median=0.67, steps=19, expected=1.0))))
    assert "0.659 times per weight layer" in warning.evidence
    assert "would give 1.00" in warning.evidence
    assert "0.00036 times after 19 weight layers" in warning.message


def test_what_is_not_finite_is_named_in_the_order_of_the_forward_pass() -> None:
    layers = (LAYER, _with(LAYER, path="m/b", nonfinite=0.5), _with(LAYER, path="m/c", nonfinite=1.0))
    found = warnings_of(Facts(_with(REPORT, layers=layers, loss=None)))
    assert [each.id for each in found] == ["nonfinite-activations", "nonfinite-loss"]
    assert found[0].layers == ("m/b", "m/c")
    assert found[0].message.startswith("m/b is the first")
    weights = _with(REPORT, variables=(_with(VARIABLE, nonfinite=3, norm=None),))
    assert _ids(weights) == ["problem nonfinite-weights"]
    assert _ids(_with(REPORT, layers=layers), bad_inputs=0.1) == ["problem nonfinite-inputs"]


def test_gradients_that_are_not_finite_although_the_loss_is() -> None:
    layers = (_with(LAYER, nonfinite_gradient=1.0), _with(LAYER, path="m/b", nonfinite_gradient=0.1), LAYER)
    report = _with(REPORT, layers=layers, variables=(_with(VARIABLE, gradient_norm=None, ratio=None),))
    [warning] = warnings_of(Facts(report))
    assert warning.id == "nonfinite-gradients"
    assert "from m/b backward" in warning.message
    assert [each.id for each in warnings_of(Facts(_with(report, loss=None)))] == ["nonfinite-loss"]


def test_no_gradient_is_not_a_gradient_of_zero() -> None:
    without = _with(VARIABLE, path="b/kernel", layer="m/b", gradient=False, gradient_norm=None, ratio=None)
    [warning] = warnings_of(Facts(_with(REPORT, variables=(VARIABLE, without))))
    assert warning.id == "no-gradient"
    assert warning.layers == ("m/b",)
    zero = _with(VARIABLE, gradient_norm=0.0, ratio=0.0)
    assert _ids(_with(REPORT, variables=(VARIABLE, zero))) == []
    assert _ids(_with(REPORT, variables=(_with(without, trainable=False, nonfinite=1),))) == [
        "problem nonfinite-weights"
    ]


@pytest.mark.parametrize(
    ("dead", "trained", "expected"),
    [
        (0.6, True, ["warning dead-units"]),
        (0.2, True, ["note dead-units"]),
        (0.36, False, []),  # what chance gives before training
        (0.6, False, ["warning dead-units"]),
        (0.05, True, []),
        (None, True, []),  # too few values
    ],
)
def test_dead_units(dead: float | None, trained: bool, expected: list[str]) -> None:
    assert _ids(_with(REPORT, activations=(_with(FUNCTION, dead=dead),)), trained=trained) == expected


def test_dead_units_say_how_sure() -> None:
    [warning] = warnings_of(Facts(_with(REPORT, activations=(_with(FUNCTION, dead=0.75),))))
    assert "6 of 8 units" in warning.evidence
    assert "more than 0.6%" in warning.evidence


def test_saturation_is_no_fault_of_an_output() -> None:
    saturated = _with(FUNCTION, function="tanh", saturated=0.61)
    assert _ids(_with(REPORT, activations=(saturated,))) == ["warning saturation"]
    assert _ids(_with(REPORT, activations=(_with(saturated, output=True),))) == []
    assert _ids(_with(REPORT, activations=(_with(saturated, saturated=0.4),))) == []


def test_spread_is_among_kernels() -> None:
    slow = _with(VARIABLE, path="b/kernel", layer="m/b", ratio=1e-6)
    assert _ids(_with(REPORT, variables=(VARIABLE, slow))) == ["warning gradient-spread"]
    assert _ids(_with(REPORT, variables=(VARIABLE, slow)), wholes={"m/b": "m/a"}) == []  # a part of the other
    assert _ids(_with(REPORT, variables=(VARIABLE, _with(slow, shape=(8,))))) == []
    assert _ids(_with(REPORT, variables=(VARIABLE, _with(slow, ratio=1e-4)))) == []


def test_initialization_counts_where_nothing_makes_up_for_it() -> None:
    off = _with(REPORT, layers=(_with(LAYER, forward_gain=0.05),), variables=(_with(VARIABLE, std_to_he=0.05),))
    assert _ids(off, trained=False) == ["warning initialization"]
    assert _ids(off, trained=True) == []
    assert _ids(off, trained=False, normalised=True) == []
    assert _ids(_with(off, layers=(LAYER,)), trained=False) == []
    assert _ids(_with(off, variables=(VARIABLE,)), trained=False) == []
