"""Scores of units and branches, from the least to the most important: one function per score, in a registry."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfopt.errors import UsageError
from tfopt.model.layers import layer_tree
from tfopt.pathways.path_weights import ones_of, path_sums
from tfopt.pathways.plan import Plan
from tfopt.pathways.rules.registry import role_of
from tfopt.pathways.saliency import weight_saliency
from tfopt.pathways.samples import Samples
from tfopt.pathways.sums import Sums
from tfopt.pathways.surrogate import Surrogate
from tfopt.pathways.switches import Level, Switch
from tfopt.pathways.targets import result_of

__all__ = ["SCORES", "Subject", "scored"]

L = keras.layers

_MOST = 64  # samples, each in a pass of its own


@dataclass(frozen=True)
class Subject:
    """What is scored: the switches of a model, of one level, with samples for scores that need them."""

    model: Any
    samples: Samples
    loss: Any
    level: Level
    switches: Sequence[Switch]
    seed: int = 0


Score = Callable[[Subject], np.ndarray]

SCORES: dict[str, Score] = {}
"""Each gives one number per position of the vector of switches."""


def scored(name: str, subject: Subject) -> np.ndarray:
    """The scores by one name. Raises UsageError where there is no such score, or none for this level."""
    if name not in SCORES:
        raise UsageError(f"there is no score called {name}", f"scores are {', '.join(SCORES)}")
    return SCORES[name](subject)


def _score(name: str) -> Callable[[Score], Score]:
    def register(function: Score) -> Score:
        SCORES[name] = function
        return function

    return register


@_score("path")
def _path(subject: Subject) -> np.ndarray:
    """The share of all paths through a unit or a branch, without data."""
    first = keras.tree.map_structure(lambda array: ones_of(array.dtype.name, (1, *array.shape[1:])), subject.samples.x)
    _, sums, _ = path_sums(subject.model, Plan(True), first)
    return np.asarray(_of_sums(subject, sums) / sums.total)


@_score("relevance")
def _relevance(subject: Subject) -> np.ndarray:
    """Σ|contribution to the logit of the predicted class|, by sample: terms of one sample cancel, samples do not."""
    surrogate = Surrogate(subject.model, Plan(False), _predicted, weights=False)
    one_by_one = dataclasses.replace(subject.samples, batch_size=1)
    drawn = np.random.default_rng(subject.seed).permutation(subject.samples.count)[:_MOST]
    runs = (surrogate.run(one_by_one.taken(drawn[at : at + 1])[0]) for at in range(len(drawn)))
    return np.asarray(sum(np.abs(_of_sums(subject, sums)) for sums in runs))


@_score("saliency")
def _saliency(subject: Subject) -> np.ndarray:
    """Σ|weight × gradient of the loss| over what comes in, by sample (Lee et al., arXiv:1810.02340)."""
    samples = subject.samples
    arrays = weight_saliency(
        subject.model, samples.x, samples.y, per="batch" if samples.fixed else "sample", loss=subject.loss
    )
    return _incoming(subject, "saliency", lambda variable: arrays.get(variable.path, np.zeros(variable.shape)))


@_score("magnitude")
def _magnitude(subject: Subject) -> np.ndarray:
    """Σ|w| over what comes in (Li et al., arXiv:1608.08710)."""
    return _incoming(subject, "magnitude", lambda variable: np.abs(variable.numpy()))


@_score("random")
def _random(subject: Subject) -> np.ndarray:
    """Numbers that mean nothing."""
    return np.random.default_rng(subject.seed).random(sum(switch.width for switch in subject.switches))


def _predicted(outputs: Sequence[Any]) -> tuple[Any, dict[str, Any]]:
    return tf.reduce_sum(result_of(outputs[0], "predicted")), {}


def _of_sums(subject: Subject, sums: Sums) -> np.ndarray:
    """What flows through each unit, all calls of its layer together, or along each edge."""
    if subject.level == "branch":
        flows = [_edges(sums, switch) for switch in subject.switches]
    else:
        by_path: dict[str, np.ndarray] = {}
        for node, values in sums.units.items():
            path = sums.nodes[node].path
            by_path[path] = by_path[path] + values if path in by_path else values
        flows = [by_path[switch.path] for switch in subject.switches]
    return np.concatenate(flows)


def _edges(sums: Sums, switch: Switch) -> np.ndarray:
    target = next(node.index for node in sums.nodes if (node.path, node.call) == (switch.path, switch.call))
    edges = [edge.value for edge in sums.edges if edge.target == target]
    return np.array([edges[switch.edge]])


def _incoming(subject: Subject, name: str, of: Callable[[Any], np.ndarray]) -> np.ndarray:
    """The sum over the weights that lead into each unit of what `of` gives for a variable."""
    if subject.level == "branch":
        raise UsageError(f"the {name} score is of units: a branch has no weights", "score branches by path")
    layers = {node.path: node.layer for node in layer_tree(subject.model)}
    sums = np.zeros(sum(switch.width for switch in subject.switches))
    for switch in subject.switches:
        layer = layers[switch.path]
        for kernel in _kernels(layer):
            sums[switch.start : switch.start + switch.width] += _by_unit(layer, of(kernel), switch.width)
    return sums


def _kernels(layer: Any) -> Iterator[Any]:
    """What a layer multiplies with to make its units: not a separable convolution's first step."""
    for variable in layer.weights:
        if len(variable.shape) > 1 and role_of(layer, variable) == "weight" and not _first_step(layer, variable):
            yield variable


def _first_step(layer: Any, variable: Any) -> bool:
    return isinstance(layer, L.SeparableConv1D | L.SeparableConv2D) and variable.name == "depthwise_kernel"


def _by_unit(layer: Any, array: np.ndarray, units: int) -> np.ndarray:
    """Sums over all axes but the units', which are last: of a gated layer gate by gate, of a depthwise convolution its
    channels times multiplier."""
    if isinstance(layer, L.Conv1DTranspose | L.Conv2DTranspose | L.Conv3DTranspose):
        array = np.swapaxes(array, -1, -2)
    sums: np.ndarray = np.asarray(array, "float64").reshape(-1, units).sum(0)
    return sums
