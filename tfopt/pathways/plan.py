"""What is asked of one pass over a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from tfopt.errors import UsageError

__all__ = ["DTYPES", "Biases", "MaxPool", "Plan"]

MaxPool = Literal["sum", "max"]
Biases = Literal["exclude", "include"]
DTYPES = ("float64", "float32")


@dataclass(frozen=True)
class Plan:
    """How a model is traced.

    `free` (data-free): the model with |w| in place of each weight, activations as the identity, on an input of ones;
    its output sums over all paths. Otherwise: the model as it is, each function as a slope and a bias. `maxpool` and
    `biases` concern the former alone. `normalised` keeps every tensor near 1 and carries its logarithm along, for
    totals beyond what `dtype` holds; it takes a model whose layers Keras connects.

    Raises:
        UsageError: there is no such choice.
    """

    free: bool
    maxpool: MaxPool = "sum"
    biases: Biases = "exclude"
    dtype: str = "float64"
    normalised: bool = False

    def __post_init__(self) -> None:
        known = {"maxpool": get_args(MaxPool), "biases": get_args(Biases), "dtype": DTYPES}
        for name, choices in known.items():
            if getattr(self, name) not in choices:
                raise UsageError(f"{name} cannot be {getattr(self, name)!r}", f"choose {' or '.join(choices)}")

    @property
    def constants(self) -> bool:
        """Whether what a layer adds counts."""
        return not self.free or self.biases == "include"
