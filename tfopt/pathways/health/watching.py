"""One trace of a model as it is: which layers and activation functions were called with which tensors.

Each call takes copies of its tensors, so that the gradient that comes back through it alone can be told. What happens
inside loops, branches and recurrent layers is not seen: their tensors cannot be fetched; the layer counts as a whole.
"""

from __future__ import annotations

import contextlib
import functools
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from tfopt.pathways.health.functions import function_of
from tfopt.pathways.interception import keep_mask
from tfopt.pathways.nodes import is_data
from tfopt.pathways.rules.activations import ELEMENTWISE

__all__ = ["SeenFunction", "SeenLayer", "Watching"]


@dataclass(frozen=True, eq=False)
class SeenLayer:
    """One call: `inputs` are the tensors that it was given, `copies` what it computed with."""

    layer: Any
    path: str
    call: int
    inputs: tuple[Any, ...]
    copies: tuple[Any, ...]
    outputs: tuple[Any, ...]


@dataclass(frozen=True, eq=False)
class SeenFunction:
    """One call of an activation function in a layer: y = f(x); `given` is what x is a copy of."""

    name: str
    layer: Any
    path: str
    call: int
    given: Any
    x: Any
    y: Any


class Watching:
    """The handler of one trace, made inside it; what it has seen, in the order in which calls ended."""

    def __init__(self, paths: Mapping[int, str]) -> None:
        """`paths`: of layers, by id."""
        self.layers: list[SeenLayer] = []
        self.functions: list[SeenFunction] = []
        self._paths = paths
        self._graph = tf.compat.v1.get_default_graph()
        self._open: list[Any] = []
        self._muted = False
        self._calls: Counter[int] = Counter()
        self._origins: dict[int, tuple[Any, Any]] = {}  # by a copy's id: it, and what it is a copy of

    def __call__(self, operation: Any, run: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """One call of a layer or operation."""
        if self._blind():
            return run(*args, **kwargs)
        if isinstance(operation, keras.Model | keras.layers.InputLayer):
            with self._within(operation):
                return run(*args, **kwargs)
        given = _tensors((args, kwargs))
        copies = {id(tensor): self._copied(tensor) for tensor in given}
        args, kwargs = keras.tree.map_structure(lambda leaf: copies.get(id(leaf), leaf), (args, kwargs))
        function = function_of(operation)
        whole = function is not None or isinstance(operation, keras.layers.RNN)
        self._calls[id(operation)] += 1
        with self._within(operation, muted=whole):
            results = run(*args, **kwargs)
        outputs = _tensors(results)
        if outputs and all(tensor.graph is self._graph for tensor in outputs):
            path, call = self._path(operation), self._calls[id(operation)]
            self.layers.append(SeenLayer(operation, path, call, given, tuple(copies.values()), outputs))
            if function is not None and given:
                self._note(function, operation, copies[id(given[0])], outputs[0])
        return results

    def functions_of_keras(self) -> dict[str, Callable[[Callable[..., Any]], Callable[..., Any]]]:
        """What takes the place of the activation functions of Keras's backend, for `observed`."""
        names = {f"nn.{name}": name for name in ELEMENTWISE} | {"numpy.tanh": "tanh"}
        return {place: functools.partial(self._watched, name) for place, name in names.items()}

    def attribute(self, function: Any) -> Any:
        """What takes the place of a layer's `activation`: nothing where it is seen otherwise."""
        name = str(getattr(function, "__name__", type(function).__name__))
        own = getattr(keras.activations, name, None) is function
        if isinstance(function, keras.layers.Layer) or (own and (name in ELEMENTWISE or name == "linear")):
            return function
        return self._watched(name, function)

    def _watched(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def watched(x: Any, *args: Any, **kwargs: Any) -> Any:
            if self._blind() or not self._open or not is_data(x):
                return function(x, *args, **kwargs)
            copy = self._copied(x)
            with self._within(self._open[-1], muted=True):
                y = function(copy, *args, **kwargs)
            if is_data(y) and y.graph is self._graph:
                self._note(name, self._open[-1], copy, y)
            return y

        return watched

    def _note(self, name: str, operation: Any, x: Any, y: Any) -> None:
        given = x
        while id(given) in self._origins:
            given = self._origins[id(given)][1]
        path, call = self._path(operation), max(self._calls[id(operation)], 1)
        self.functions.append(SeenFunction(name, operation, path, call, given, x, y))

    def _blind(self) -> bool:
        return self._muted or tf.compat.v1.get_default_graph() is not self._graph

    @contextlib.contextmanager
    def _within(self, operation: Any, *, muted: bool = False) -> Iterator[None]:
        before = self._muted
        self._muted = before or muted
        self._open.append(operation)
        try:
            yield
        finally:
            self._open.pop()
            self._muted = before

    def _copied(self, tensor: Any) -> Any:
        copy = keep_mask(tensor, tf.identity(tensor))
        if hasattr(tensor, "_keras_logits"):  # Keras computes crossentropy from what a softmax was given
            copy._keras_logits = tensor._keras_logits
        self._origins[id(copy)] = copy, tensor
        return copy

    def _path(self, operation: Any) -> str:
        return self._paths.get(id(operation), str(operation.name))


def _tensors(structure: Any) -> tuple[Any, ...]:
    """Each dense tensor of floating-point numbers in a structure, once."""
    return tuple({id(leaf): leaf for leaf in keras.tree.flatten(structure) if is_data(leaf)}.values())
