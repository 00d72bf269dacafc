"""A model whose units, or branches, have switches: what it gives with any of them at zero, compiled once.

Nothing of the model changes: while it is traced, layers' outputs (or merges' inputs) are multiplied with a vector that
is an argument of the compiled function.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from tfopt.errors import InputError, UsageError
from tfopt.model.layers import layer_tree
from tfopt.pathways.channelwise import CHANNELWISE, GLOBAL_POOLING
from tfopt.pathways.interception import intercepted, keep_mask, operation_class
from tfopt.pathways.losses import chosen_loss, loss_of
from tfopt.pathways.metrics import accuracy
from tfopt.pathways.nodes import is_data
from tfopt.pathways.rules.activations import ELEMENTWISE
from tfopt.pathways.samples import Samples
from tfopt.pathways.summing import channel_axis

__all__ = ["UNITS", "Level", "Measured", "Switch", "Switched"]

L = keras.layers

Level = Literal["unit", "branch"]

UNITS = (
    *(L.Dense, L.Conv1D, L.Conv2D, L.Conv3D, L.Conv1DTranspose, L.Conv2DTranspose, L.Conv3DTranspose),
    *(L.DepthwiseConv1D, L.DepthwiseConv2D, L.SeparableConv1D, L.SeparableConv2D, L.SimpleRNN, L.LSTM, L.GRU),
)
"""Layers whose output channels are units."""

_PASSING = (*CHANNELWISE, *GLOBAL_POOLING, L.BatchNormalization, L.Rescaling)

_MERGES = (L.Add, L.Average, L.Concatenate, operation_class("Add"), operation_class("Concatenate"))


@dataclass(frozen=True)
class Switch:
    """Where a part of the vector acts: the units of a layer, all its calls together; or one edge into one call of a
    merge, by its number. `final`: an output of the model, which is never switched off."""

    path: str
    start: int
    width: int
    call: int = 1
    edge: int = 0
    final: bool = False


@dataclass(frozen=True)
class Measured:
    """Means over samples; `accuracy` is None where targets are no classes."""

    loss: float
    accuracy: float | None


class Switched:
    """A model on data, with switches.

    A unit that is off gives zero, and so does its channel of whatever directly follows and keeps channels apart
    (BatchNormalization, activations, pooling): else BatchNormalization would make a constant of it. Behind a merge or a
    normalisation across channels its zero is taken like any other's.

    Args:
        model: a built Keras model; it computes as in inference, in its own precision.
        samples: with targets.
        level: what has switches.
        loss: as `keras.Model.compile` takes it.

    Raises:
        UsageError: there are no targets.
        InputError: the model takes batches of one size, and the samples are no multiple of it.
    """

    def __init__(self, model: Any, samples: Samples, *, level: Level, loss: Any = None) -> None:
        if samples.y is None:
            raise UsageError("an ablation needs targets: without them no loss can change", "give x and y")
        self.model, self.level, self.samples = model, level, samples
        if samples.fixed and samples.count % samples.batch_size:
            raise InputError(
                f"the model takes batches of {samples.batch_size} samples and nothing smaller",
                f"give a multiple of {samples.batch_size} samples",
            )
        self._paths = {id(node.layer): node.path for node in reversed(layer_tree(model))}
        self._batches = [samples.cut(numbers) for numbers in samples.batches()]
        chosen = chosen_loss(model, loss)
        self.metric = chosen.loss
        self._loss = loss_of(model, chosen, *self._batches[0], training=False)
        self.switches: list[Switch] = []  # known once it is traced
        self._compiled = tf.function(self._pass, autograph=False)
        self._compiled.get_concrete_function(tf.TensorSpec([None], tf.float32), *self._batches[0])
        self.size = sum(each.width for each in self.switches)

    @property
    def candidates(self) -> np.ndarray:
        """The positions in the vector that may be switched off."""
        spans = [range(each.start, each.start + each.width) for each in self.switches if not each.final]
        return np.array([at for span in spans for at in span], dtype=int)

    def without(self, positions: Iterable[int] = ()) -> Measured:
        """What the model gives with these positions of the vector at zero."""
        vector = np.ones(self.size, "float32")
        vector[list(positions)] = 0
        return self._measured(vector, self._batches)

    def shuffled(self, order: np.ndarray) -> Measured:
        """What it gives intact where each sample has the target of another."""
        y = keras.tree.map_structure(lambda array: None if array is None else array[order], self.samples.y)
        samples = dataclasses.replace(self.samples, y=y)
        return self._measured(np.ones(self.size, "float32"), map(samples.cut, samples.batches()))

    def _measured(self, vector: np.ndarray, batches: Iterable[tuple[Any, Any]]) -> Measured:
        means = [np.asarray(self._compiled(tf.constant(vector), *batch)) for batch in batches]
        counts = [len(numbers) for numbers in self.samples.batches()]
        loss, right = np.average(means, axis=0, weights=counts)
        return Measured(float(loss), None if np.isnan(right) else float(right))

    def _pass(self, vector: Any, x: Any, y: Any) -> Any:
        trace = _Trace(self.level, self._paths, vector)
        with intercepted(self.model, trace, functions={}, attributes={}, values=(), dtype=None):
            outputs = self.model(x, training=False) if self.model._call_has_training_arg else self.model(x)
            loss = self._loss(x, y, outputs)
        final = trace.reached([leaf for leaf in keras.tree.flatten(outputs) if is_data(leaf)])
        self.switches = [dataclasses.replace(each, final=each.path in final) for each in trace.switches]
        return tf.stack([tf.cast(loss, tf.float64), accuracy(self.metric, y, outputs)])


class _Trace:
    """The handler of one trace: gives layers their parts of the vector, in the order of their first calls."""

    def __init__(self, level: Level, paths: dict[int, str], vector: Any) -> None:
        self.switches: list[Switch] = []
        self._level, self._paths, self._vector = level, paths, vector
        self._calls: Counter[str] = Counter()
        self._units: dict[int, tuple[str, Any, bool]] = {}  # by a tensor's id: whose units its channels are
        self._made: dict[tuple[int, str], str] = {}
        self._keep: list[Any] = []  # ids are of use only while their tensors live
        self._inside = False

    def __call__(self, operation: Any, run: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self._inside or isinstance(operation, L.InputLayer | keras.Model):
            return run(*args, **kwargs)
        path = self._paths.get(id(operation), str(operation.name))
        self._calls[path] += 1
        if self._level == "branch" and isinstance(operation, _MERGES):
            args, kwargs = self._branches(path, (args, kwargs))
        self._inside = True
        try:
            outputs = run(*args, **kwargs)
        finally:
            self._inside = False
        if self._level == "branch":
            return outputs
        if isinstance(operation, UNITS):
            return self._unit_outputs(operation, path, outputs)
        tensors = [leaf for leaf in keras.tree.flatten((args, kwargs)) if is_data(leaf)]
        if len(tensors) == 1 and id(tensors[0]) in self._units and _passes(operation):
            return self._switched(outputs, *self._units[id(tensors[0])])
        return outputs

    def reached(self, outputs: Sequence[Any]) -> set[str]:
        """Whose units, or branches, the outputs are made of without another layer of units between."""
        found, seen, todo = set(), set(), list(outputs)
        while todo and self._level == "unit":
            tensor = todo.pop()
            key = (id(tensor.graph), tensor.name)
            if key in self._made:
                found.add(self._made[key])
            elif key not in seen:
                todo += list(tensor.op.inputs)
            seen.add(key)
        return found

    def _unit_outputs(self, operation: Any, path: str, outputs: Any) -> Any:
        first = keras.tree.flatten(outputs)[0]
        axis = channel_axis(operation, len(first.shape))
        known = [each for each in self.switches if each.path == path]
        switch = known[0] if known else self._add(path, first.shape[axis])
        part = self._vector[switch.start : switch.start + switch.width]

        def switched(leaf: Any) -> Any:  # states of recurrent layers as well
            return self._switched(leaf, path, part, axis == 1 and len(first.shape) > 2)

        return keras.tree.map_structure(switched, outputs)

    def _switched(self, tensor: Any, path: str, part: Any, first: bool) -> Any:
        rank = len(tensor.shape)
        shape = [1] * rank
        shape[1 if first and rank > 2 else rank - 1] = -1
        made = keep_mask(tensor, tensor * tf.cast(tf.reshape(part, shape), tensor.dtype))
        self._units[id(made)] = (path, part, first)
        self._made[id(made.graph), made.name] = path
        self._keep.append(made)
        return made

    def _branches(self, path: str, arguments: Any) -> Any:
        tensors = {id(leaf): leaf for leaf in keras.tree.flatten(arguments) if is_data(leaf)}
        if len(tensors) < 2:
            return arguments
        switched = {}
        for edge, (key, tensor) in enumerate(tensors.items()):
            switch = self._add(path, 1, self._calls[path], edge)
            switched[key] = keep_mask(tensor, tensor * tf.cast(self._vector[switch.start], tensor.dtype))
        return keras.tree.map_structure(lambda leaf: switched.get(id(leaf), leaf), arguments)

    def _add(self, path: str, width: int, call: int = 1, edge: int = 0) -> Switch:
        start = self.switches[-1].start + self.switches[-1].width if self.switches else 0
        self.switches.append(Switch(path, start, width, call, edge))
        return self.switches[-1]


def _passes(operation: Any) -> bool:
    """Whether each channel of what it gives is made of the same channel of what it takes."""
    if isinstance(operation, L.Layer):
        return isinstance(operation, _PASSING)
    return type(operation).__name__.lower() in _OPERATIONS


_OPERATIONS = {name.replace("_", "") for name in ELEMENTWISE}
