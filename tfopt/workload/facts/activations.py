"""Activations that a layer computes besides its product."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from keras import layers

from tfopt.records.advice import Fact
from tfopt.workload.facts.finding import TracedStep

__all__ = ["activations"]

_PRODUCTS = (
    *(layers.Dense, layers.EinsumDense, layers.Conv1D, layers.Conv2D, layers.Conv3D),
    *(layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose),
    *(layers.DepthwiseConv1D, layers.DepthwiseConv2D, layers.SeparableConv1D, layers.SeparableConv2D),
)
# TensorFlow merges ReLUs with the product, and nobody exchanges a function that makes probabilities or gates.
_WELL_CHOSEN = ("linear", "relu", "relu6", "softmax", "log_softmax", "sigmoid", "hard_sigmoid")


def activations(step: TracedStep) -> Iterator[Fact]:
    """Dense and convolution layers whose activation might be another: one fact per function, its `detail`."""
    found: dict[str, list[str]] = defaultdict(list)
    for node in step.tree:
        if isinstance(node.layer, _PRODUCTS) and (name := _name(node.layer.activation)) not in _WELL_CHOSEN:
            found[name].append(node.path)
    for name, paths in found.items():
        yield Fact(kind="activation", count=len(paths), layers=tuple(paths), detail=name)


def _name(activation: Any) -> str:
    """A function's name, that of what a partial function is of, a layer's class in small letters."""
    function = getattr(activation, "func", activation)
    return str(getattr(function, "__name__", type(function).__name__.lower()))
