"""From the numbers of a pass to the report."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import msgspec
import numpy as np

from tfopt.model.cost.activations import function_flops
from tfopt.model.layers import LayerNode, own_variables
from tfopt.pathways.health.expected import expected_gains, glorot_std, he_std, initial_std
from tfopt.pathways.health.fans import fan_in_of, fans_of_shape
from tfopt.pathways.health.functions import UNITLESS, function_of
from tfopt.pathways.health.gains import gain, levels
from tfopt.pathways.health.passing import Seen
from tfopt.pathways.health.roles import is_normalisation, is_weight_layer, kernel_of
from tfopt.pathways.health.warnings import Facts, warnings_of
from tfopt.pathways.health.watching import SeenFunction, SeenLayer
from tfopt.records.cost import LayerCost
from tfopt.records.health import (
    ActivationHealth,
    HealthReport,
    LayerHealth,
    VariableHealth,
)

__all__ = ["ENOUGH", "Numbers", "read"]

ENOUGH = 256
"""Values per unit from which on one is called dead."""


@dataclasses.dataclass(frozen=True)
class Size:
    """Root mean square and norm of some tensors together, and the share that is not finite."""

    rms: float | None
    norm: float | None
    bad: float


@dataclasses.dataclass(frozen=True)
class Numbers:
    """What a pass gave (`arrays`, see `Pass`) and all that it takes to read it. Gradients are `scale` too large."""

    model: Any
    tree: Sequence[LayerNode]
    seen: Seen
    arrays: Mapping[str, np.ndarray]
    scale: float
    samples: int
    loss_function: str
    costs: Sequence[LayerCost]

    def forward(self, tensors: Sequence[Any]) -> Size | None:
        """The size of tensors together; None for none."""
        return _together([self.arrays["forward"][self.seen.forward[id(tensor)]] for tensor in tensors])

    def backward(self, tensors: Sequence[Any]) -> Size | None:
        """The size of the gradient with respect to tensors; None where none reaches them."""
        places = [self.seen.backward.get(id(tensor)) for tensor in tensors]
        scale = np.array([self.scale, 1, 1])
        return _together([self.arrays["backward"][place] / scale for place in places if place is not None])


def read(numbers: Numbers) -> HealthReport:
    """The report, with its warnings."""
    seen, arrays = numbers.seen, numbers.arrays
    layers, forward, backward, expected = [], [], [], []
    normalised = any(is_normalisation(each.layer) for each in seen.watching.layers)
    weighing = [
        depth for each, depth in zip(seen.watching.layers, seen.depths, strict=True) if is_weight_layer(each.layer)
    ]
    applied = {id(each.given): each.name for each in reversed(seen.watching.functions)}
    own = {id(each.y): each.name for each in seen.watching.functions}
    for each, depth in zip(seen.watching.layers, seen.depths, strict=True):
        size, gradient = numbers.forward(each.inputs), numbers.backward(each.inputs)
        within = own.get(id(each.outputs[0]), "linear")
        following = applied.get(id(each.outputs[0]), within) if within == "linear" else within
        input_rms = size.rms if size else None
        layers.append(_layer(numbers, each, _expected(each, within, following, input_rms)))
        if is_weight_layer(each.layer) and depth:
            forward.append((depth, input_rms))
            backward.append((depth, gradient.norm if gradient else None))
            # A normalisation makes up for any gain; those of the last layers lie behind the last point.
            if depth < max(weighing) and not normalised:
                expected.append(_expected(each, following, following, input_rms))
    ahead = gain(levels(forward), [each and each[0] for each in expected])
    back = gain(levels(backward)[::-1], [each and each[1] for each in expected])
    loss = float(arrays["loss"])
    report = HealthReport(
        samples=numbers.samples,
        loss=loss if math.isfinite(loss) else None,
        loss_function=numbers.loss_function,
        forward_gain=ahead.mean if ahead else None,
        backward_gain=back.mean if back else None,
        forward=ahead,
        backward=back,
        layers=tuple(layers),
        activations=tuple(_functions(numbers)),
        variables=tuple(_variables(numbers)),
        warnings=(),
    )
    facts = Facts(
        report,
        bad_inputs=float(arrays["entering"][:, 1].max(initial=0)),
        normalised=normalised,
        trained=_looks_trained(numbers),
        wholes=_wholes(numbers.tree),
    )
    return msgspec.structs.replace(report, warnings=warnings_of(facts))


def _layer(numbers: Numbers, each: SeenLayer, expected: tuple[float, float] | None) -> LayerHealth:
    entering, leaving = numbers.forward(each.inputs), numbers.forward(each.outputs)
    in_front, behind = numbers.backward(each.outputs), numbers.backward(each.copies)
    inside = [function for function in numbers.seen.watching.functions if function.layer is each.layer]
    given = numbers.forward([function.given for function in inside if function.call == each.call])
    return LayerHealth(
        path=each.path,
        type=type(each.layer).__name__,
        call=each.call,
        input_rms=entering.rms if entering else None,
        output_rms=leaving.rms if leaving else None,
        gradient_rms=in_front.rms if in_front else None,
        input_gradient_rms=behind.rms if behind else None,
        forward_gain=_ratio(leaving, entering),
        backward_gain=_ratio(behind, in_front),
        expected_forward_gain=expected[0] if expected else None,
        nonfinite=max((size.bad for size in (leaving, given) if size), default=0.0),
        nonfinite_gradient=in_front.bad if in_front else 0.0,
    )


def _expected(each: SeenLayer, function: str, following: str, input_rms: float | None) -> tuple[float, float] | None:
    """The gains of a layer and a `function` behind it, with weights as they are initialized before `following`."""
    kernel = kernel_of(each.layer)
    if kernel is None or not input_rms:
        return None
    fan_in, fans = fan_in_of(each.layer, kernel.shape), fans_of_shape(kernel.shape)
    if fan_in is None or fans is None:
        return None
    return expected_gains(function, fan_in, initial_std(following, fans), input_rms)


def _functions(numbers: Numbers) -> Iterator[ActivationHealth]:
    costs = {row.path: row for row in numbers.costs}
    arrays = numbers.arrays
    active = np.split(arrays["active"], np.cumsum(arrays["units"]).astype(int)[:-1])
    for number, each in enumerate(numbers.seen.watching.functions):
        behind, in_front = numbers.backward([each.x]), numbers.backward([each.y])
        units, values = len(active[number]), int(arrays["values"][number])
        judged = values >= ENOUGH * units and each.name not in UNITLESS
        yield ActivationHealth(
            path=each.path,
            function=each.name,
            call=each.call,
            zero=1 - float(active[number].mean()),
            dead=float((active[number] == 0).mean()) if judged else None,
            saturated=_finite(arrays["saturated"][number]),
            gradient_flow=_ratio(behind, in_front),
            units=units,
            values_per_unit=values // units,
            output=id(each.y) in numbers.seen.outputs,
            flops=_flops(each, values, costs.get(each.path)),
            layer_flops=_per_call(costs.get(each.path)),
        )


def _flops(each: SeenFunction, size: int, row: LayerCost | None) -> int | None:
    """A layer that is nothing but the function costs what the layer does."""
    return (
        _per_call(row) if function_of(each.layer) is not None and row is not None else function_flops(each.name, size)
    )


def _per_call(row: LayerCost | None) -> int | None:
    return (row.forward_flops + row.backward_flops) // row.calls if row is not None and row.calls else None


def _variables(numbers: Numbers) -> Iterator[VariableHealth]:
    trained = {id(each.value): number for number, each in enumerate(numbers.model.trainable_weights)}
    arrays = numbers.arrays
    holders = {id(variable): path for path, held in own_variables(numbers.tree).items() for variable in held}
    for variable, (norm, bad, size), mean in zip(
        numbers.model.weights, arrays["weights"], arrays["means"], strict=True
    ):
        trainable = id(variable.value) in trained
        if not trainable and not bad:
            continue
        place = numbers.seen.variables.get(id(variable.value))
        gradient = None if place is None else _finite(arrays["gradients"][place, 0] / numbers.scale)
        fans = fans_of_shape(variable.shape)
        std = math.sqrt(max(norm**2 / size - mean**2, 0.0)) if size and norm < math.inf else math.nan
        yield VariableHealth(
            path=variable.path,
            layer=holders.get(id(variable), ""),
            shape=tuple(variable.shape),
            trainable=trainable,
            norm=_finite(norm),
            gradient_norm=gradient,
            ratio=float(gradient / norm) if gradient is not None and norm > 0 else None,
            std_to_he=_finite(std / he_std(fans[0])) if fans else None,
            std_to_glorot=_finite(std / glorot_std(*fans)) if fans else None,
            nonfinite=round(bad * size),
            gradient=place is not None,
        )


def _looks_trained(numbers: Numbers) -> bool:
    """Whether something that layers start with as zeros is anything else now; nothing of that kind says nothing."""
    norms = [
        row[0]
        for variable, row in zip(numbers.model.weights, numbers.arrays["weights"], strict=True)
        if variable.name in ("bias", "beta")
    ]
    return not norms or any(norms)


def _wholes(tree: Sequence[LayerNode]) -> dict[str, str]:
    """For each layer inside another that is not a model: the outermost such layer."""
    found: dict[str, str] = {}
    around: LayerNode | None = None
    for node in tree:
        if around is not None and node.depth > around.depth:
            found[node.path] = around.path
        else:
            around = None if isinstance(node.layer, keras.Model) else node
    return found


def _together(rows: Sequence[np.ndarray]) -> Size | None:
    """Several tensors as one, from (norm, share that is not finite, elements) of each."""
    count = sum(row[2] for row in rows)
    if not count:
        return None
    norm = math.hypot(*(row[0] for row in rows))
    return Size(_finite(norm / math.sqrt(count)), _finite(norm), float(sum(row[1] * row[2] for row in rows) / count))


def _ratio(over: Size | None, under: Size | None) -> float | None:
    if over is None or under is None or over.rms is None or not under.rms:
        return None
    return over.rms / under.rms


def _finite(number: float) -> float | None:
    return float(number) if math.isfinite(number) else None
