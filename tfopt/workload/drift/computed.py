"""What a way of running a model computed, and how far that is from what another one did."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tfopt.records.base import finite
from tfopt.records.comparison import Drift, GradientDrift, OutputDrift
from tfopt.workload.drift.measures import TINY, Distance, agreement, distance

__all__ = ["Computed", "Output", "drift_between"]

Layer = tuple[str, str]  # path and type


@dataclass(frozen=True)
class Output:
    """One output's values. `decides` is whether it chooses: among classes (`threshold` None), or on which side of the
    threshold it is."""

    name: str
    values: Any
    decides: bool = False
    threshold: float | None = None


@dataclass(frozen=True)
class Computed:
    """Outputs of the forward pass, loss (None in inference), and the gradients of each layer's own weights, multiplied
    by `scale`. `tiny` is the smallest normal number of the precision; `random_ops` drew numbers of their own."""

    outputs: tuple[Output, ...]
    loss: float | None = None
    gradients: dict[Layer, list[Any]] | None = None
    scale: float = 1.0
    tiny: float = TINY["float32"]
    random_ops: tuple[str, ...] = ()


def drift_between(label: str, reference_label: str, batch_size: int, reference: Computed, variant: Computed) -> Drift:
    """How far `variant` is from `reference`: outputs of the same shape, and gradients where both have them."""
    layers, total = _gradients(reference, variant)
    return Drift(
        label=label,
        reference=reference_label,
        batch_size=batch_size,
        outputs=tuple(_outputs(reference, variant)),
        reference_loss=None if reference.loss is None else finite(reference.loss),
        loss=None if variant.loss is None else finite(variant.loss),
        loss_scale=variant.scale,
        nonfinite_losses=int(variant.loss is not None and finite(variant.loss) is None),
        gradient=_gradient(("", ""), total) if layers else None,
        layers=tuple(_gradient(layer, found) for layer, found in layers),
        random_ops=tuple(sorted({*reference.random_ops, *variant.random_ops})),
    )


def _outputs(reference: Computed, variant: Computed) -> Iterator[OutputDrift]:
    for one, other in zip(reference.outputs, variant.outputs, strict=False):
        if one.values.shape != other.values.shape:
            continue
        found = distance([(one.values, other.values)])
        known = bool(found.compared)
        yield OutputDrift(
            name=one.name,
            shape=one.values.shape,
            max_abs=found.max_abs if known else None,
            max_rel=found.max_rel,
            cosine=found.cosine,
            agreement=agreement(one.values, other.values, one.threshold) if one.decides else None,
            nonfinite=found.nonfinite,
            reference_nonfinite=found.values - found.compared - found.nonfinite,
        )


def _gradients(reference: Computed, variant: Computed) -> tuple[list[tuple[Layer, Distance]], Distance]:
    found, total = [], Distance()
    for layer, arrays in (reference.gradients or {}).items():
        others = (variant.gradients or {}).get(layer)
        if others is not None and [array.shape for array in arrays] == [array.shape for array in others]:
            part = distance(
                zip(arrays, others, strict=True),
                reference_scale=reference.scale,
                scale=variant.scale,
                tiny=variant.tiny,
            )
            found.append((layer, part))
            total.add(part)
    return found, total


def _gradient(layer: Layer, found: Distance) -> GradientDrift:
    return GradientDrift(
        layer=layer[0],
        type=layer[1],
        values=found.values,
        cosine=found.cosine,
        relative_l2=found.relative_l2,
        nonfinite=found.nonfinite,
        underflow=found.underflow,
    )
