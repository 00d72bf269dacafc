"""What is wrong with a model's health: a registry of rules, each a pure function of the measured facts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from tfopt.records.health import (
    ActivationHealth,
    Gain,
    HealthReport,
    HealthWarning,
    VariableHealth,
)
from tfopt.wording import listed

__all__ = ["Facts", "warnings_of"]

GAIN = (0.8, 1.25)  # per weight layer: over 20 of them 0.01 and 87 times
STEPS = 5  # weight layers, at least
NOTED, FAR = 10.0, 100.0  # in all: from here on it is a note, or more than that
DEAD = 0.1
DEAD_AT_RANDOM = 0.5  # a symmetric initializer with no bias leaves at most half of the units without a sample
SATURATED = 0.5
SPREAD = 1e4
FROM_INITIALIZER = (0.2, 5.0)
FROM_EXPECTED = 2.0


@dataclass(frozen=True)
class Facts:
    """`bad_inputs` is the share of the batch's inputs that is not finite; `normalised`: the model has normalisations;
    `trained`: not all biases are zero any more, or there are none. `wholes` has the outermost layer around a layer that
    is a part of one (an attention's projections), by their paths."""

    report: HealthReport
    bad_inputs: float = 0.0
    normalised: bool = False
    trained: bool = True
    wholes: Mapping[str, str] = field(default_factory=dict)


Rule = Callable[[Facts], Iterator[HealthWarning]]
_RULES: list[Rule] = []
_ORDER = ("problem", "warning", "note")


def warnings_of(facts: Facts) -> tuple[HealthWarning, ...]:
    """What all rules say, the worst first; of numbers that are not finite, only where they come from."""
    found = [warning for each in _RULES for warning in each(facts)]
    if any(warning.severity == "problem" for warning in found):
        found = [warning for warning in found if warning.severity == "problem" or warning.id == "no-gradient"]
    return tuple(sorted(found, key=lambda warning: _ORDER.index(warning.severity)))


def _rule(function: Rule) -> Rule:
    _RULES.append(function)
    return function


@_rule
def _inputs(facts: Facts) -> Iterator[HealthWarning]:
    if facts.bad_inputs:
        yield HealthWarning(
            id="nonfinite-inputs",
            severity="problem",
            message="the batch itself has values that are NaN or infinite",
            evidence=f"{facts.bad_inputs:.2%} of an input's values",
            hint="clean the data",
        )


@_rule
def _weights(facts: Facts) -> Iterator[HealthWarning]:
    bad = [each for each in facts.report.variables if each.nonfinite]
    if bad:
        yield HealthWarning(
            id="nonfinite-weights",
            severity="problem",
            message=f"weights are NaN or infinite: {_paths(bad)}",
            evidence=f"{sum(each.nonfinite for each in bad)} values, {bad[0].nonfinite} of them in {bad[0].path}",
            hint="go back to a checkpoint from before, and lower the learning rate or clip gradients",
            layers=tuple(dict.fromkeys(each.layer for each in bad)),
        )


@_rule
def _activations(facts: Facts) -> Iterator[HealthWarning]:
    bad = [each for each in facts.report.layers if each.nonfinite]
    if bad and not facts.bad_inputs:
        first = bad[0]
        yield HealthWarning(
            id="nonfinite-activations",
            severity="problem",
            message=f"{first.path} is the first layer with values that are NaN or infinite",
            evidence=f"{first.nonfinite:.2%} of its values; {len(bad)} of {len(facts.report.layers)} layer calls",
            hint="look at its weights, and at divisions, logarithms and roots in it",
            layers=tuple(dict.fromkeys(each.path for each in bad)),
        )


@_rule
def _gradients(facts: Facts) -> Iterator[HealthWarning]:
    """Where everything ahead is finite; else the gradients are not the cause."""
    ahead = facts.report.loss is None or any(each.nonfinite for each in facts.report.layers)
    layers = [each.path for each in facts.report.layers if each.nonfinite_gradient]
    variables = [each.layer for each in facts.report.variables if each.gradient and each.gradient_norm is None]
    if (layers or variables) and not ahead:
        # The gradient comes from the loss: the last layer is where it went wrong first.
        where = layers[-1] if layers else variables[-1]
        yield HealthWarning(
            id="nonfinite-gradients",
            severity="problem",
            message=f"gradients are NaN or infinite from {where} backward, although the loss is finite",
            evidence=f"the gradients of {len(variables)} of {len(facts.report.variables)} variables",
            hint="look for roots, norms and divisions of what may be zero",
            layers=tuple(dict.fromkeys(layers or variables)),
        )


@_rule
def _loss(facts: Facts) -> Iterator[HealthWarning]:
    if facts.report.loss is None:
        yield HealthWarning(
            id="nonfinite-loss",
            severity="problem",
            message="the loss is NaN or infinite",
            evidence=f"{facts.report.loss_function} of {facts.report.samples} samples",
            hint="the first layer that is not finite, if any, is named above; else the loss does not fit the outputs",
        )


@_rule
def _disconnected(facts: Facts) -> Iterator[HealthWarning]:
    without = [each for each in facts.report.variables if each.trainable and not each.gradient]
    if without:
        yield HealthWarning(
            id="no-gradient",
            severity="warning",
            message=f"no gradient reaches {_paths(without)}",
            evidence=f"{len(without)} of {len(facts.report.variables)} trainable variables do not affect the loss",
            hint="use their layers in the model's call, give each output a loss, or set them trainable = False",
            layers=tuple(dict.fromkeys(each.layer for each in without)),
        )


@_rule
def _signal(facts: Facts) -> Iterator[HealthWarning]:
    yield from _flow(facts, facts.report.forward, "signal", "root mean square of what weight layers are given")


@_rule
def _gradient(facts: Facts) -> Iterator[HealthWarning]:
    yield from _flow(facts, facts.report.backward, "gradient", "norm of the gradient there, towards the input")


def _flow(facts: Facts, gain: Gain | None, what: str, of: str) -> Iterator[HealthWarning]:
    """What a net learned with moderate gains is no fault of its initial weights."""
    low, high = GAIN
    if gain is None or gain.steps < STEPS or low <= gain.mean <= high or low <= gain.median <= high:
        return
    if (gain.mean < low) != (gain.median < low):
        return
    vanishing = gain.mean < low
    total = gain.mean**gain.steps
    change = 1 / max(total, 1e-300) if vanishing else total
    if change < (FAR if facts.trained else NOTED):
        return
    severity: Literal["warning", "note"] = "warning" if change >= FAR else "note"
    usual = "" if gain.expected is None else f"; He's or Glorot's initializer would give {gain.expected:.2f}"
    yield HealthWarning(
        id=f"{'vanishing' if vanishing else 'exploding'}-{what}",
        severity=severity,
        message=f"the {what} {'vanishes' if vanishing else 'explodes'}:"
        f" {total:.2g} times after {gain.steps} weight layers",
        evidence=f"{of}: {gain.mean:.3g} times per weight layer (median {gain.median:.3g}){usual}",
        hint="initialize for the activation function (He before relu), or normalise between the layers",
    )


@_rule
def _dead(facts: Facts) -> Iterator[HealthWarning]:
    """A net that was not trained may have up to half of its units dead by chance: its samples look alike to it."""
    most = DEAD if facts.trained else DEAD_AT_RANDOM
    bad = [each for each in facts.report.activations if each.dead is not None and each.dead > most and not each.output]
    if bad:
        worst = max(bad, key=lambda each: each.dead or 0)
        sure = 3 / worst.values_per_unit
        yield HealthWarning(
            id="dead-units",
            severity="warning" if (worst.dead or 0) > DEAD_AT_RANDOM else "note",
            message=f"units give zero for every sample of this batch: {_paths(bad)}",
            evidence=f"{_count(worst)} units of {worst.function} in {worst.path} on {worst.values_per_unit} values "
            f"each, {facts.report.samples} samples; a unit active on more than {sure:.1%} of independent values would "
            "have shown with 95 % certainty",
            hint="give more samples to be surer; lower the learning rate, or use a leaky function or a normalisation",
            layers=tuple(dict.fromkeys(each.path for each in bad)),
        )


@_rule
def _saturated(facts: Facts) -> Iterator[HealthWarning]:
    """An output may well be sure of itself."""
    bad = [each for each in facts.report.activations if (each.saturated or 0) > SATURATED and not each.output]
    if bad:
        worst = max(bad, key=lambda each: each.saturated or 0)
        flow = "" if worst.gradient_flow is None else f"; {worst.gradient_flow:.2g} of the gradient gets through"
        yield HealthWarning(
            id="saturation",
            severity="warning",
            message=f"activation functions are saturated: {_paths(bad)}",
            evidence=f"{worst.saturated or 0:.0%} of the values of {worst.function} in {worst.path}{flow}",
            hint="use smaller initial weights, scale the inputs, or normalise before the function",
            layers=tuple(dict.fromkeys(each.path for each in bad)),
        )


@_rule
def _spread(facts: Facts) -> Iterator[HealthWarning]:
    """Between layers as wholes: queries and keys of an attention that is still uniform get next to no gradient."""
    fastest: dict[str, VariableHealth] = {}
    for each in facts.report.variables:
        whole = facts.wholes.get(each.layer, each.layer)
        if each.trainable and len(each.shape) > 1 and each.ratio:
            fastest[whole] = max(each, fastest.get(whole, each), key=_speed)
    if len(fastest) < 2:
        return
    least, most = min(fastest.values(), key=_speed), max(fastest.values(), key=_speed)
    spread = _speed(most) / _speed(least)
    if spread > SPREAD:
        yield HealthWarning(
            id="gradient-spread",
            severity="warning",
            message=f"layers learn at very different speeds: {spread:.1g} times between {least.path} and {most.path}",
            evidence=f"|gradient| / |weight| is {least.ratio:.2g} and {most.ratio:.2g}",
            hint="an optimizer that scales each gradient (Adam, LAMB) evens it out; plain SGD does not",
            layers=(least.layer, most.layer),
        )


@_rule
def _initialization(facts: Facts) -> Iterator[HealthWarning]:
    """Of a net that looks untrained, and where no normalisation makes up for it."""
    if facts.trained or facts.normalised:
        return
    low, high = FROM_INITIALIZER
    off = {
        each.path
        for each in facts.report.layers
        if each.forward_gain is not None
        and each.expected_forward_gain
        and not 1 / FROM_EXPECTED <= each.forward_gain / each.expected_forward_gain <= FROM_EXPECTED
    }
    bad = [
        each
        for each in facts.report.variables
        if each.std_to_he is not None and not low <= each.std_to_he <= high and each.layer in off
    ]
    if bad:
        yield HealthWarning(
            id="initialization",
            severity="warning",
            message=f"initial weights are far from any usual initializer: {_paths(bad)}",
            evidence=f"the deviation of {bad[0].path} is {bad[0].std_to_he:.2g} times He's, {bad[0].std_to_glorot:.2g} "
            "times Glorot's, and the layer's gain is as far off",
            hint="leave kernel_initializer to its default, or use he_normal before relu",
            layers=tuple(dict.fromkeys(each.layer for each in bad)),
        )


def _speed(variable: VariableHealth) -> float:
    return variable.ratio or 0.0


def _count(each: ActivationHealth) -> str:
    return f"{round((each.dead or 0) * each.units)} of {each.units}"


def _paths(each: list[VariableHealth] | list[ActivationHealth]) -> str:
    return listed(list(dict.fromkeys(one.path for one in each)))
