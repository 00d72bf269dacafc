"""The health of a model on one batch: its signals forward and backward, measured in one compiled pass."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfopt.errors import UsageError
from tfopt.model.cost import step_costs
from tfopt.model.cost.graphs import inner_graphs
from tfopt.model.layers import layer_tree
from tfopt.pathways.health.losses import loss_for, scale_for
from tfopt.pathways.health.passing import Pass
from tfopt.pathways.health.reading import Numbers, read
from tfopt.pathways.health.statistics import in_doubt
from tfopt.pathways.models import check_model
from tfopt.pathways.untuned import as_traced
from tfopt.records.cost import LayerCost
from tfopt.records.health import HealthReport
from tfopt.workload.batch import batch_length
from tfopt.workload.failures import explained

__all__ = ["Checkup", "health"]

_LESS = 16.0  # by which a loss is scaled less where its gradients overflow


def health(model: Any, x: Any, y: Any, *, loss: Any = None) -> HealthReport:
    """How signals and gradients of one batch get through a model, and what is wrong with them.

    The model runs in training mode, as a step does (BatchNormalization takes the batch's statistics), with Dropout and
    other random layers off. Nothing of it changes: neither weights nor running statistics nor its compile state.

    Args:
        model: a built Keras model.
        x: a batch of its inputs: an array or a structure of arrays, as the model takes them.
        y: targets that fit the loss, in the structure of the model's outputs.
        loss: as `model.compile` takes it; by default the model's own, else one that fits its outputs (`infer_loss`).

    Raises:
        UsageError: the model has no weights yet, or the batch is empty.
        RunFailed: inputs, targets and loss do not fit.

    Sources: gains per layer and initializers, Glorot & Bengio 2010, He et al. 2015; loss scaling, Micikevicius 2018.
    """
    return Checkup(model, loss=loss).run(x, y)


class Checkup:
    """The same for several batches: compiled when it is first run, and again for batches of other shapes.

    The model's structure must not change between runs; its weights may.
    """

    def __init__(self, model: Any, *, loss: Any = None) -> None:
        check_model(model)
        self.model, self._loss = model, loss
        self._passes: dict[Any, _Compiled] = {}

    def run(self, x: Any, y: Any, sample_weight: Any = None) -> HealthReport:
        """The report on one batch."""
        with explained("measuring the model's health"):
            batch = keras.tree.map_structure(_tensor, (x, y, sample_weight))
            samples = batch_length(batch[0])
            if not samples:
                raise UsageError("the batch is empty", "give at least one sample")
            compiled, numbers, scale = self._measured(batch, careful=False)
            if any(in_doubt(numbers[key]) for key in ("forward", "backward")) or not _finite(numbers):
                compiled, numbers, scale = self._measured(batch, careful=True)
            traced = compiled.traced
            assert traced.seen is not None
            return read(
                Numbers(self.model, traced.tree, traced.seen, numbers, scale, samples, compiled.words, compiled.costs)
            )

    def _measured(
        self, batch: tuple[Any, Any, Any], *, careful: bool
    ) -> tuple[_Compiled, dict[str, np.ndarray], float]:
        """The numbers of a pass and what their gradients are multiplied with: less where they would overflow."""
        compiled = self._compiled(batch, careful=careful)
        scale = scale_for(self.model)
        with _untouched(compiled.function), as_traced():
            while True:
                out = compiled.function(*batch, tf.constant(scale))
                numbers = {name: np.asarray(value, dtype=float) for name, value in out.items()}
                if scale == 1 or not np.isfinite(numbers["loss"]) or np.isfinite(numbers["gradients"]).all():
                    return compiled, numbers, scale
                scale = max(scale / _LESS, 1.0)

    def _compiled(self, batch: tuple[Any, Any, Any], *, careful: bool) -> _Compiled:
        key = str(keras.tree.map_structure(lambda leaf: getattr(leaf, "shape", None), batch)), careful
        if key not in self._passes:
            loss, words = loss_for(self.model, self._loss, *batch[:2])
            tree = layer_tree(self.model)
            traced = Pass(self.model, tree, loss, careful=careful)
            function = tf.function(traced, autograph=False).get_concrete_function(*batch, tf.constant(1.0))
            assert traced.seen is not None
            costs = step_costs(self.model, tree, traced.seen.trace, mode="train", optimizer=None)
            self._passes[key] = _Compiled(traced, function, words, costs)
        return self._passes[key]


@dataclass(frozen=True)
class _Compiled:
    """A pass for batches of one shape."""

    traced: Pass
    function: Callable[..., Mapping[str, Any]]
    words: str
    costs: tuple[LayerCost, ...]


def _finite(numbers: Mapping[str, np.ndarray]) -> bool:
    return all(bool(np.isfinite(numbers[key]).all()) for key in ("loss", "entering", "weights", "gradients"))


@contextlib.contextmanager
def _untouched(compiled: Any) -> Iterator[None]:
    """Put back what a layer writes to TensorFlow's variables past Keras's."""
    graphs = [compiled.graph, *(body.graph for body in inner_graphs(compiled.graph).values())]
    writes = any(op.type.startswith("Assign") for graph in graphs for op in graph.get_operations())
    before = [(variable, variable.read_value()) for variable in compiled.graph.variables] if writes else []
    try:
        yield
    finally:
        for variable, value in before:
            variable.assign(value)


def _tensor(leaf: Any) -> Any:
    return leaf if leaf is None else tf.convert_to_tensor(leaf)
