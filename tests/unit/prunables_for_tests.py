"""Prunable weights without TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tfopt.pruning.prunable import Prunable

__all__ = ["Stored", "prunable"]


@dataclass(eq=False)
class Stored:
    """What a Prunable needs of a variable; `assigned` are all values it was given."""

    array: np.ndarray
    path: str = "dense/kernel"
    assigned: list[np.ndarray] = field(default_factory=list)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    def numpy(self) -> np.ndarray:
        return self.array

    def assign(self, value: np.ndarray) -> None:
        """In place, so that who kept what `numpy` gave and no copy of it has lost it."""
        self.array[...] = value
        self.assigned.append(np.array(value))


def prunable(
    values: Any,
    inputs: tuple[int, ...] | None = None,
    outputs: tuple[int, ...] | None = None,
    dtype: str = "float32",
    path: str = "dense/kernel",
) -> Prunable:
    """A weight of these values whose last two axes are (in, out) unless said otherwise."""
    array = np.array(values, dtype)
    return Prunable(
        Stored(array, path),
        None,
        path.rpartition("/")[0],
        (array.ndim - 2,) if inputs is None else inputs,
        (array.ndim - 1,) if outputs is None else outputs,
    )
