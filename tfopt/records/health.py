"""How healthy a model's signals and gradients are, from layer to layer: part of what `tfopt influence` records."""

from __future__ import annotations

from typing import Literal

from tfopt.records.base import Record

__all__ = [
    "ActivationHealth",
    "Gain",
    "HealthReport",
    "HealthWarning",
    "LayerHealth",
    "VariableHealth",
]


class LayerHealth(Record, frozen=True, kw_only=True):
    """Root mean squares around one layer call, forward and backward, and their ratios (gains).

    `input_rms` is over all inputs together, `input_gradient_rms` of the gradient that this call gives back to them.
    `forward_gain` is output / input, `backward_gain` gradient at the input / at the output.
    `expected_forward_gain` is what He's (before a relu and its like) or Glorot's initialization gives for the layer's
    shape and its own activation, at the same input, where that is defined. `nonfinite` is the share of outputs
    that are NaN or infinite, or of what its activation function was given (a relu makes 0 of NaN).
    Null: not floating point, not finite, or no gradient there.
    """

    path: str
    type: str
    call: int = 1
    input_rms: float | None
    output_rms: float | None
    gradient_rms: float | None
    input_gradient_rms: float | None = None
    forward_gain: float | None
    backward_gain: float | None
    expected_forward_gain: float | None = None
    nonfinite: float = 0.0
    nonfinite_gradient: float = 0.0


class ActivationHealth(Record, frozen=True, kw_only=True):
    """One call of an activation function, in the layer `path`: the share of zeros, of `units` (channels) that were zero
    on every sample and position (`dead`; null with less than 256 values per unit), of saturated values (null where the
    function has no such range); the gradient's root mean square behind the function relative to that in front of it;
    and its cost: FLOPs per step, forward and backward, beside those of its layer (null: unknown)."""

    path: str
    function: str
    call: int = 1
    zero: float
    dead: float | None
    saturated: float | None
    gradient_flow: float | None
    units: int = 0
    values_per_unit: int = 0
    output: bool = False
    """Whether the model gives its result away."""
    flops: int | None = None
    layer_flops: int | None = None


class VariableHealth(Record, frozen=True, kw_only=True):
    """A trainable variable: norms of weight and gradient (null: no gradient reaches it), their ratio, and the standard
    deviation relative to what He's and Glorot's initializers would give. Others are listed where not all of their
    values are finite (`trainable` is false). `layer` is the path of the layer that holds it."""

    path: str
    layer: str = ""
    shape: tuple[int, ...] = ()
    trainable: bool = True
    norm: float | None
    gradient_norm: float | None
    ratio: float | None
    std_to_he: float | None = None
    std_to_glorot: float | None = None
    nonfinite: int = 0
    gradient: bool = True
    """Whether a gradient reaches it at all, finite or not."""


class HealthWarning(Record, frozen=True, kw_only=True):
    """Something that is wrong, or likely to be: `evidence` has the numbers, `hint` what to do."""

    id: str
    severity: Literal["problem", "warning", "note"]
    message: str
    evidence: str
    hint: str = ""
    layers: tuple[str, ...] = ()


class Gain(Record, frozen=True, kw_only=True):
    """From one weight layer to the next, over the `steps` between the first and the last of them: the geometric `mean`,
    the `median` step, and what He's or Glorot's initialization would give (null where no layer's is defined).

    What counts is what a weight layer is given, after normalisation: forward its root mean square, backward the norm of
    the gradient with respect to it.
    """

    mean: float
    median: float
    steps: int
    expected: float | None = None


class HealthReport(Record, frozen=True, kw_only=True):
    """Signals and gradients of one batch, as a training step sees them with its random layers off.

    `forward_gain` and `backward_gain` are the means of `forward` and `backward` (null below three weight layers in a
    row). `loss_function` says what was minimised.
    """

    samples: int
    loss: float | None
    loss_function: str = ""
    forward_gain: float | None
    backward_gain: float | None
    forward: Gain | None = None
    backward: Gain | None = None
    layers: tuple[LayerHealth, ...]
    activations: tuple[ActivationHealth, ...]
    variables: tuple[VariableHealth, ...]
    warnings: tuple[HealthWarning, ...]
