"""The strongest paths through a model: from channel to channel, or from layer to layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from tfopt.errors import UsageError
from tfopt.records.influence import StrongPaths

__all__ = ["MOST", "top_paths"]

MOST = 20


def top_paths(
    model: Any, k: int = 10, *, level: Literal["unit", "layer"] = "unit", input_shape: Sequence[str] = ()
) -> StrongPaths:
    """The k strongest paths of a model, without data.

    At unit level a path is a sequence of channels, one in each layer that it passes, and its weight the product of
    its edges: between two channels of a layer with a kernel the largest |w| (of all taps of a convolution, of all
    places that were flattened); for normalisations |γ| (by √(variance + ε) where that is a constant of training);
    1 for activations, pooling and whatever else moves numbers about; a gate's value at zero where it multiplies. Of
    values, attention has a channel for each dimension of each head. The strongest are found exactly, by dynamic
    programming. They are single paths of astronomically many: their share of the total says nothing, and is not told.

    At layer level a path is a sequence of layers, and its `flow` an *estimate* of the share of all paths that take it:
    as if the paths that pass a layer went on alike, wherever they came from. Each edge's share is exact
    (`path_weights`), that of a combination of branches is not: see `layer`.

    Args:
        model: a built Keras model.
        k: how many, at most 20: the work for one unit grows with k², and nobody reads more.
        level: `unit` or `layer`.
        input_shape: shapes without the batch for free dimensions (`"96,96,3"`, `"tokens=128"`).

    Returns:
        The paths, strongest first. Where a layer's paths cannot be told, none, and why in `unavailable`.

    Raises:
        UsageError: k is not between 1 and 20, or there is no such level.
        InputError: the model does not say what input it takes.
    """
    if not 1 <= k <= MOST:
        raise UsageError(f"k is {k}: between 1 and {MOST} paths can be listed", "the work grows with the square of k")
    if level == "unit":
        from tfopt.pathways.top_paths.unit import unit_paths

        return unit_paths(model, k, input_shape)
    if level == "layer":
        from tfopt.pathways.top_paths.layer import layer_paths

        return layer_paths(model, k, input_shape)
    raise UsageError(f"there is no level {level}", "the levels are unit and layer")
