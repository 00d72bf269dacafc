"""What one pass over a model gives, as numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfopt.pathways.nodes import Node, Trial
from tfopt.pathways.rules.registry import Role

__all__ = ["EdgeSum", "Sums", "Weight"]


@dataclass(frozen=True)
class Weight:
    """A variable of the model: its path, the path of the layer that holds it, what it is."""

    variable: Any
    path: str
    layer: str
    role: Role


@dataclass(frozen=True)
class EdgeSum:
    """Input × gradient along an edge: from nodes or inputs (`INPUT`) by number to a node. `whole`: the graph of layers
    says from where. `least_value` and `least_gradient` are relative to the largest magnitude."""

    sources: tuple[int, ...]
    target: int
    value: float
    magnitude: float
    least_value: float
    least_gradient: float
    whole: bool


@dataclass(frozen=True)
class Sums:
    """What one pass gives. `total · exp(log_scale)` is the objective; all sums are of the mantissa `total`.

    `flows`, `magnitudes`, `added_by_node`, `least_values` and `least_gradients` are by node (value × gradient of its
    outputs; of absolute values; what it adds, times gradient; the least of its outputs and of their gradients, relative
    to the largest); `units` of nodes with weights by channel; `inputs` and `sources` the flow out of inputs and of
    nodes that nothing flows into; `variables` by number of the variable (weight × gradient), with the element-wise
    arrays where asked for; `tops` the largest elements, as (value, flat index); `added` says which variables of names
    that say nothing were found to be offsets, `connected` through which ones any path leads; `trials`
    are those of layers without a rule of tfopt's. `least_weights` is by number of the variable, the least weight ×
    gradient relative to the largest. `whole`: layers gave the outputs as they are. `biases` is all that is added,
    times gradient; `by_rules` the part of it that no variable holds (f(0), constants), and the sum of its absolute
    values, element by element. On data, nothing is said of what is least (0).
    """

    total: float
    log_scale: float
    nodes: tuple[Node, ...]
    edges: tuple[EdgeSum, ...]
    flows: np.ndarray
    magnitudes: np.ndarray
    least_values: np.ndarray
    least_gradients: np.ndarray
    least_output: float
    least_weights: np.ndarray
    whole: bool
    units: Mapping[int, np.ndarray]
    inputs: np.ndarray
    input_magnitudes: np.ndarray
    variables: np.ndarray
    added: np.ndarray
    connected: np.ndarray
    tops: tuple[tuple[np.ndarray, np.ndarray], ...]
    arrays: tuple[np.ndarray, ...]
    trials: tuple[Trial, ...]
    told: Mapping[str, np.ndarray]
    added_by_node: np.ndarray
    biases: float
    by_rules: float
    by_rules_magnitude: float
