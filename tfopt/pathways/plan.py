"""What is asked of one pass over a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Biases", "MaxPool", "Plan"]

MaxPool = Literal["sum", "max"]
Biases = Literal["exclude", "include"]


@dataclass(frozen=True)
class Plan:
    """How a model is traced.

    `free` (data-free): the model with |w| in place of each weight, activations as the identity, on an input of ones;
    its output sums over all paths. Otherwise: the model as it is, each function as a slope and a bias. `maxpool` and
    `biases` concern the former alone. `normalised` keeps every tensor near 1 and carries its logarithm along, for
    totals beyond what `dtype` holds; it takes a model whose layers Keras connects.
    """

    free: bool
    maxpool: MaxPool = "sum"
    biases: Biases = "exclude"
    dtype: str = "float64"
    normalised: bool = False

    @property
    def constants(self) -> bool:
        """Whether what a layer adds counts."""
        return not self.free or self.biases == "include"
