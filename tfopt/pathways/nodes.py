"""What a trace consists of: calls of layers, the tensors that they made, and the ways between them.

A *node* is one call of a layer (or of a `keras.ops` operation) that lies in no other layer's call; models are looked
into. An *edge* is a tensor's way from the node that made it, or from an input, to a node that takes it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf

from tfopt.records.influence import Status

__all__ = ["INPUT", "Edge", "Node", "Source", "Trial", "constant_in", "is_data", "tensor_key"]

INPUT = -1
"""In place of a node's number: the model's inputs, and whatever no node made."""


def is_data(value: Any) -> bool:
    """Whether this is a tensor of floating-point numbers that is computed in the trace, and no constant."""
    return isinstance(value, tf.Tensor) and bool(value.dtype.is_floating) and not hasattr(value, "numpy")


def tensor_key(tensor: Any) -> tuple[int, str]:
    """What tells a tensor of the trace from others, also where Python has another object for it."""
    return id(tensor.graph), tensor.name


@dataclass
class Node:
    """One call. `ancestors` is a set of nodes as bits. `own`: every rule in it is one of tfopt's. `unit` is 1, by which
    all that the layer adds is multiplied, so that a gradient with respect to it is their contribution."""

    index: int
    path: str
    operation: Any
    call: int
    ancestors: int = 0
    status: Status = "exact"
    reasons: dict[str, None] = field(default_factory=dict)
    own: bool = True
    unit: Any = None


@dataclass(frozen=True, eq=False)
class Source:
    """A tensor that a node made, or an input; with the logarithm of its scale (0 where nothing was normalised)."""

    node: int
    tensor: Any
    log_scale: Any = None


@dataclass(frozen=True, eq=False)
class Edge:
    """`tensor` is the consumer's own copy. `sources` has one source where the graph of layers says it, several or none
    where Python between the layers made the tensor."""

    sources: tuple[Source, ...]
    target: int
    tensor: Any
    whole: bool


@dataclass(frozen=True, eq=False)
class Trial:
    """What a layer without a rule of tfopt's gave on random inputs: its least value on impulses, its least increase
    when impulses are added, and how far it is from a sum, each relative to its largest value; or how far it is from
    linear in one of its weights. The node is `INPUT` for Python between layers."""

    node: int
    least: Any = 0.0
    increase: Any = 0.0
    additivity: Any = 0.0
    weights: Any = 0.0

    @property
    def numbers(self) -> tuple[Any, ...]:
        """The measured ones."""
        return self.least, self.increase, self.additivity, self.weights


def constant_in(dtype: Any, leaf: Any) -> Any:
    """What is no tensor of the trace: an array of numbers in its dtype, anything else as it is."""
    is_array = isinstance(leaf, np.ndarray | tf.Tensor) and tf.as_dtype(leaf.dtype).is_floating and not is_data(leaf)
    return np.asarray(leaf).astype(dtype.as_numpy_dtype) if is_array else leaf
