"""How a model's layers are wired: which call took which tensors, with which arguments.

One trace tells, for models that Keras knows the graph of and for others alike. A layer that has a transfer is one call;
any other is looked into, so that a user's layer made of Keras's is what it is made of.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from tfopt.model.inputs import input_specs
from tfopt.model.layers import layer_tree
from tfopt.pathways.interception import intercepted
from tfopt.pathways.path_weights import ones
from tfopt.pathways.tables import INPUT_NAME

__all__ = ["Made", "Tensor", "Wiring", "tensors_in", "wiring_of"]

_VIEWS = frozenset({"Identity", "Cast", "StopGradient"})


@dataclass(frozen=True, eq=False)
class Tensor:
    """A tensor between calls: its shape with a batch of 1, and the call that made it (None: an input, or nobody)."""

    shape: tuple[int | None, ...]
    maker: Made | None = None
    floating: bool = True

    @property
    def size(self) -> int:
        """How many elements, at least."""
        size = 1
        for each in self.shape:
            size *= each or 1
        return size


@dataclass(eq=False)
class Made:
    """One call of a layer or operation; in `args`, `kwargs` and `outputs` each tensor is a `Tensor`. `call` counts the
    calls of this layer from 1, `ancestors` has the number of each call that it depends on as a bit."""

    number: int
    path: str
    operation: Any
    call: int
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    outputs: Any = None
    ancestors: int = 0


@dataclass(frozen=True)
class Wiring:
    """`inputs` by the name of what ways begin at, `calls` in the order of the trace, `paths` of layers by id."""

    inputs: tuple[tuple[str, Tensor], ...]
    calls: tuple[Made, ...]
    outputs: tuple[Tensor, ...]
    paths: dict[int, str]


def tensors_in(*structures: Any) -> Iterator[Tensor]:
    """The floating-point tensors of arguments or outputs."""
    return (leaf for leaf in keras.tree.flatten(structures) if isinstance(leaf, Tensor) and leaf.floating)


def wiring_of(model: Any, known: Callable[[type], bool], input_shape: Sequence[str] = ()) -> Wiring:
    """Trace a model once.

    Args:
        model: a built Keras model.
        known: says of a layer class whether its calls are not to be looked into.
        input_shape: shapes without the batch for free dimensions.

    Raises:
        InputError: the model does not say what input it takes.
    """
    example = ones(model, input_shape)
    found: list[Wiring] = []

    def trace(inputs: Any) -> Any:
        tracing = _Tracing({id(node.layer): node.path for node in reversed(layer_tree(model))}, known)
        entering = [tracing.tensor(leaf) for leaf in keras.tree.flatten(inputs)]
        with intercepted(model, tracing, functions={}, attributes={}, values=(), dtype="float32"):
            trains = getattr(model, "_call_has_training_arg", False)
            results = model(inputs, training=False) if trains else model(inputs)
        outputs = tensors_in(keras.tree.map_structure(tracing.seen, results))
        names = [spec.name for spec in input_specs(model, input_shape=input_shape)]
        named = [f"{INPUT_NAME[:-1]} {name})" for name in names] if len(names) > 1 else [INPUT_NAME]
        starting = tuple(zip(named, entering, strict=True))
        found.append(Wiring(starting, tuple(tracing.calls), tuple(dict.fromkeys(outputs)), tracing.paths))
        return results

    tf.function(trace, autograph=False).get_concrete_function(example)
    return found[-1]


class _Tracing:
    def __init__(self, paths: dict[int, str], known: Callable[[type], bool]) -> None:
        self.paths, self._known = paths, known
        self.calls: list[Made] = []
        self._count: Counter[str] = Counter()
        self._tensors: dict[int, Tensor] = {}
        self._keep: list[Any] = []  # ids are of use only while their tensors live
        self._inside = False

    def __call__(self, operation: Any, run: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if isinstance(operation, keras.layers.InputLayer | keras.Model) or self._inside:
            return run(*args, **kwargs)
        known = self._known(type(operation))
        path = self.paths.get(id(operation), str(operation.name))
        taken, named = keras.tree.map_structure(self.seen, (args, kwargs))
        before = len(self.calls)
        self._inside = known
        try:
            outputs = run(*args, **kwargs)
        finally:
            self._inside = False
        if not known and self.calls[before:] and all(map(self._is_seen, keras.tree.flatten(outputs))):
            return outputs
        self._count[path] += 1
        made = Made(len(self.calls), path, operation, self._count[path], taken, named)
        for tensor in tensors_in(taken, named):
            if tensor.maker is not None:
                made.ancestors |= tensor.maker.ancestors | 1 << tensor.maker.number
        # The same tensor coming out is another one from here on.
        outputs = keras.tree.map_structure(lambda leaf: tf.identity(leaf) if tf.is_tensor(leaf) else leaf, outputs)
        made.outputs = keras.tree.map_structure(lambda leaf: self.tensor(leaf, made), outputs)
        self.calls.append(made)
        return outputs

    def tensor(self, leaf: Any, maker: Made | None = None) -> Any:
        """What stands for a tensor that this call made."""
        if not tf.is_tensor(leaf):
            return leaf
        self._keep.append(leaf)
        shape = tuple(leaf.shape) if leaf.shape.rank is not None else ()
        return self._tensors.setdefault(id(leaf), Tensor(shape, maker, bool(leaf.dtype.is_floating)))

    def seen(self, leaf: Any) -> Any:
        """What stands for a tensor, or for one that it only is a copy of; something new if nobody made it."""
        if not tf.is_tensor(leaf) or not hasattr(leaf, "graph"):  # a constant stays what it is
            return leaf
        return self._tensors.get(id(self._origin(leaf))) or self.tensor(leaf)

    def _is_seen(self, leaf: Any) -> bool:
        return not tf.is_tensor(leaf) or id(self._origin(leaf)) in self._tensors

    def _origin(self, leaf: Any) -> Any:
        while id(leaf) not in self._tensors and hasattr(leaf, "graph") and leaf.op.type in _VIEWS:
            leaf = leaf.op.inputs[0]
        return leaf
