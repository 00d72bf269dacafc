"""A weight that may be pruned, and how its axes lie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Masks", "Prunable", "Scores"]

# One array per prunable weight, of its shape and in the order of the prunable weights.
Scores = list[np.ndarray]  # float64; what is larger is kept first
Masks = list[np.ndarray]  # bool; True is kept


@dataclass(frozen=True, eq=False)  # Keras variables are not hashable
class Prunable:
    """One variable of one layer (by its path in the layer tree). `input_axes` are the axes that are multiplied with the
    layer's input and summed over, `output_axes` those of its outputs; what is left (a kernel's taps) is neither."""

    variable: Any
    layer: Any
    layer_path: str
    input_axes: tuple[int, ...]
    output_axes: tuple[int, ...]

    @property
    def path(self) -> str:
        """The variable's own path, as Keras calls it."""
        return str(self.variable.path)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the weight, its scores and its mask."""
        return tuple(self.variable.shape)

    @property
    def size(self) -> int:
        """How many numbers it has."""
        return int(np.prod(self.shape))

    @property
    def values(self) -> np.ndarray:
        """Its numbers as they are now, in its own dtype."""
        return np.asarray(self.variable.numpy())
