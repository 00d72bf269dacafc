"""Run a model once symbolically, and note each call of each layer: no step runs, no value is computed."""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import tensorflow as tf

from tfopt.model.layers import CALLS, LayerNode
from tfopt.model.patching import patching

__all__ = ["Frame", "Trace", "is_dense", "is_tensor", "observe", "observing"]

_VIEWS = ("Identity", "Reshape", "ExpandDims", "Squeeze", "StopGradient")


@dataclass(frozen=True, eq=False)
class Frame:
    """One call of one layer, as it was traced: tensors in, tensors out.

    `outputs` has each tensor once: a cell's output is its state, too. `times` is how often the call runs per step as
    far as recurrent layers say: a cell is traced twice (once to see the shapes of what it gives, then in the loop),
    noted the first time, and runs once per time step. It is None where their number is not known before running.
    `looped` says whether the call lies in such a loop, `outermost` whether it lies in no other layer's. `graph` is the
    graph, or the loop's or branch's body, that the call added its ops to.
    """

    node: LayerNode
    graph: Any
    arguments: Mapping[str, Any]
    outputs: tuple[Any, ...]
    times: int | None
    looped: bool
    outermost: bool


@dataclass
class Trace:
    """The traced graph, the calls in it in the order in which they ended, and which call each op belongs to.

    `owners` is by the graph's id and the op's name; an op that no layer's call made is absent, one of a
    repeated call has None.
    """

    graph: Any = None
    frames: list[Frame] = field(default_factory=list)
    owners: dict[tuple[int, str], Frame | None] = field(default_factory=dict)
    parents: set[int] = field(default_factory=set)
    """The ids of layers that call other layers."""

    def made_by(self, frame: Frame, tensor: Any) -> bool:
        """Whether the values of `tensor` were made by this call itself, and are not only seen in another shape."""
        op = tensor.op if is_dense(tensor) else None
        while op is not None and self.owners.get((id(op.graph), op.name)) is frame:
            if op.type not in _VIEWS:
                return True
            op = op.inputs[0].op
        return False


@dataclass
class _Open:
    """A call under way."""

    layer: Any
    times: int | None = 1
    steps: int | None = None  # of a recurrent layer
    looped: bool = False
    cell_noted: bool = False

    def has_cell(self, layer: Any) -> bool:
        """Whether this is a call of a recurrent layer, and `layer` its cell."""
        return isinstance(self.layer, keras.layers.RNN) and layer is self.layer.cell

    def repeats(self, layer: Any) -> bool:
        """Whether a call of `layer` by this one is no work of its own: the cell again, or one of stacked cells, which
        Keras calls once by themselves to see what they give."""
        stacked = getattr(getattr(self.layer, "cell", None), "cells", ())
        return (self.cell_noted and self.has_cell(layer)) or any(layer is cell for cell in stacked)


class _Muted(_Open):
    """A call that repeats what was noted."""


@dataclass
class _Observer:
    trace: Trace = field(default_factory=Trace)
    open: list[_Open] = field(default_factory=list)

    def noting(self, call: Callable[..., Any], node: LayerNode) -> Callable[..., Any]:
        bound = inspect.signature(call)

        @functools.wraps(call)
        def noted(*args: Any, **kwargs: Any) -> Any:
            if tf.executing_eagerly():
                return call(*args, **kwargs)
            try:
                arguments = _by_name(bound, args, kwargs)
                opened = self._opened(node.layer, arguments)
            except Exception:  # it is the user's step that is traced: a call nobody understands is counted by its ops
                arguments, opened = {}, _Open(node.layer)
            graph = tf.compat.v1.get_default_graph()
            before = len(graph.get_operations())
            self.open.append(opened)
            try:
                outputs = call(*args, **kwargs)
            finally:
                self.open.pop()
            frame = None
            if not isinstance(opened, _Muted):
                tensors = {id(leaf): leaf for leaf in keras.tree.flatten(outputs) if is_tensor(leaf)}
                frame = Frame(
                    node, graph, arguments, tuple(tensors.values()), opened.times, opened.looped, not self.open
                )
                self.trace.frames.append(frame)
            for op in graph.get_operations()[before:]:
                self.trace.owners.setdefault((id(graph), op.name), frame)
            return outputs

        return noted

    def _opened(self, layer: Any, arguments: Mapping[str, Any]) -> _Open:
        above = self.open[-1] if self.open else _Open(None)
        self.trace.parents.add(id(above.layer))
        if isinstance(above, _Muted) or above.repeats(layer):
            return _Muted(layer)
        opened = _Open(layer, above.times, looped=above.looped)
        if above.has_cell(layer):
            above.cell_noted = opened.looped = True
            opened.times = None if above.times is None or above.steps is None else above.times * above.steps
        if isinstance(layer, keras.layers.RNN):
            first = keras.tree.flatten(next(iter(arguments.values())))[0]
            opened.steps = first.shape[1]
        return opened


def _by_name(signature: inspect.Signature, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a call by their names; those of `*args` by number."""
    named: dict[str, Any] = {}
    for name, value in signature.bind(*args, **kwargs).arguments.items():
        kind = signature.parameters[name].kind
        if kind is inspect.Parameter.VAR_KEYWORD:
            named.update(value)
        else:
            named[name] = value
    return named


def is_tensor(value: Any) -> bool:
    """Whether this is a tensor: dense, sparse or ragged."""
    return isinstance(value, tf.Tensor | tf.SparseTensor | tf.RaggedTensor)


def is_dense(value: Any) -> bool:
    """Whether this is a dense tensor of a graph."""
    return isinstance(value, tf.Tensor) and bool(tf.is_symbolic_tensor(value))


def observe(model: Any, inputs: Any, tree: Sequence[LayerNode], *, training: bool) -> Trace:
    """The calls that `model` makes for a structure of tensors `inputs`, whose values do not matter."""
    traces: list[Trace] = []

    def run(x: Any) -> Any:
        with observing(tree) as trace:
            traces.append(trace)  # a function that creates variables is traced twice
            return model(x, training=training) if getattr(model, "_call_has_training_arg", False) else model(x)

    tf.function(run, autograph=False).get_concrete_function(inputs)
    return traces[-1]


@contextlib.contextmanager
def observing(tree: Sequence[LayerNode]) -> Iterator[Trace]:
    """Note the calls that the layers of `tree` make while the block adds to a graph."""
    observer = _Observer(Trace(tf.compat.v1.get_default_graph()))
    with patching() as patch:
        for node in tree:
            for name in CALLS:
                if hasattr(node.layer, name):
                    patch(node.layer, name, observer.noting(getattr(node.layer, name), node))
        yield observer.trace
