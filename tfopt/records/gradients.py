"""The record of a model's gradients: how large they are in each variable, and what modified weights change of that.

Within schema version 1 fields may be added, never changed. What is not finite is null, with a count beside it.
"""

from __future__ import annotations

from typing import Literal

from tfopt.records.base import Note, Record
from tfopt.records.profile import InputInfo, ModelInfo

__all__ = ["GRADIENTS_SCHEMA", "Gradient", "GradientRun", "GradientsRecord", "LayerGradients", "VariableGradient"]

GRADIENTS_SCHEMA: Literal["tfopt.gradients/1"] = "tfopt.gradients/1"


class GradientRun(Record, frozen=True, kw_only=True):
    """The circumstances that the numbers hold for; the pass is one of training, without an update."""

    loss: str
    precision: str
    batch_size: int
    inputs: tuple[InputInfo, ...]
    data: str
    xla: bool = False
    modify: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    device: str
    threads: int
    seed: int
    command: str
    started_at: str
    tfopt: str
    python: str
    tensorflow: str
    keras: str


class Gradient(Record, frozen=True, kw_only=True):
    """The gradient of one variable. `norm` is the root of the sum of squares, `largest` the largest |g|, null where
    something is not finite (`nonfinite` elements are); `zeros` counts exact zeros, -0 included."""

    norm: float | None
    largest: float | None
    zeros: int
    nonfinite: int


class VariableGradient(Record, frozen=True, kw_only=True):
    """A trainable variable of `size` numbers and their norm. `gradient` is null where the loss does not depend on the
    variable: that is not a gradient of zeros. `after` is the same with modified weights, with respect to the variable
    itself, through the modification if it is `modified`."""

    path: str
    layer: str
    size: int
    norm: float | None
    gradient: Gradient | None
    modified: bool = False
    after: Gradient | None = None


class LayerGradients(Record, frozen=True, kw_only=True):
    """A place in the layer tree, so that variables can be shown where they belong."""

    path: str
    type: str
    depth: int


class GradientsRecord(Record, frozen=True, kw_only=True):
    """One gradient pass, and if weights are modified a second one on the same batch with the same random numbers.

    `layers` are those that hold a variable, and what these lie in; `modified` tells of the second pass, `untracked`
    names raw `tf.Variable`s of layers, which have no gradient here, are not saved, and cannot be modified.
    """

    schema: Literal["tfopt.gradients/1"] = GRADIENTS_SCHEMA
    model: ModelInfo
    run: GradientRun
    loss: float | None
    loss_after: float | None = None
    layers: tuple[LayerGradients, ...]
    variables: tuple[VariableGradient, ...]
    untracked: tuple[str, ...] = ()
    notes: tuple[Note, ...] = ()
