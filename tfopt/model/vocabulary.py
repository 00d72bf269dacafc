"""How large the integers of each input may be: the smallest vocabulary of the Embeddings that it feeds.

An input may be float32 and still feed an Embedding. The functional graph is walked from the inputs through layers
and ops that only move values around; layers with code of their own are traced, and their TensorFlow graph is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import keras
import tensorflow as tf

from tfopt.model.gathers import concrete_bounds

__all__ = ["embedding_rows", "graph_vocabularies", "traced_vocabularies"]

Tags = frozenset[int]
_NONE: Tags = frozenset()

# Layers and keras.ops that pass values on unchanged, by class name.
_RESHAPING = {
    "Reshape",
    "Flatten",
    "Permute",
    "RepeatVector",
    "Cropping1D",
    "UpSampling1D",
    "ZeroPadding1D",
    "Concatenate",
}
_IDENTITIES = {"InputLayer", "Masking", "Identity", "Dropout", "SpatialDropout1D", "Cast", "StopGradient", "Copy"}
_OPS = {"GetItem", "Squeeze", "ExpandDims", "Transpose", "Swapaxes", "Moveaxis", "Ravel", "Stack", "Repeat", "Tile"}
_MORE_OPS = {"Flip", "Roll", "Split", "BroadcastTo", "Where", "Slice", "Unstack", "Hstack", "Vstack"}
_PASS = frozenset(_RESHAPING | _IDENTITIES | _OPS | _MORE_OPS)
# What consumes integers, and the attribute that bounds them.
_BOUNDED = {"Embedding": "input_dim", "CategoryEncoding": "num_tokens", "OneHot": "num_classes"}
_LIBRARY = "keras."


def embedding_rows(layer: Any) -> list[int]:
    """`input_dim` of every Embedding in `layer`, itself included."""
    layers = layer._flatten_layers() if hasattr(layer, "_flatten_layers") else ()
    return [inner.input_dim for inner in layers if isinstance(inner, keras.layers.Embedding)]


def _classes(operation: Any) -> list[str]:
    return [base.__name__ for base in type(operation).__mro__]


class _Flow:
    """Tags (positions of the model's inputs) on their way through the graph, and the bounds met on it."""

    def __init__(self) -> None:
        self.bounds: dict[int, int] = {}

    def bound(self, tags: Tags, size: Any) -> None:
        if isinstance(size, int) and size > 0:
            for tag in tags:
                self.bounds[tag] = min(self.bounds.get(tag, size), size)

    def through(self, operation: Any, tags: list[Tags], node: Any) -> list[Tags]:
        """The tags of the operation's outputs (one for all outputs, or one each)."""
        together = _NONE.union(*tags)
        if not together:
            return [_NONE]
        classes = _classes(operation)
        for name, walk in _CONTAINERS.items():
            if name in classes:
                return walk(self, operation, tags, node)
        for name, attribute in _BOUNDED.items():
            if name in classes:
                self.bound(together, getattr(operation, attribute, None))
                return [_NONE]
        if not _PASS.isdisjoint(classes):
            return [together]
        if embedding_rows(operation) or not type(operation).__module__.startswith(_LIBRARY):
            self._opaque(operation, tags, node)
        return [_NONE]

    def functional(self, model: Any, tags: list[Tags], node: Any) -> list[Tags]:
        """Node by node; the tags of the model's outputs."""
        flowing: dict[int, Tags] = {id(tensor): tag for tensor, tag in zip(model.inputs, tags, strict=False)}
        for depth in sorted(model._nodes_by_depth, reverse=True):
            for inner in model._nodes_by_depth[depth]:
                if inner.is_input:
                    continue
                taken = [flowing.get(id(tensor), _NONE) for tensor in inner.input_tensors]
                given = self.through(inner.operation, taken, inner)
                for position, tensor in enumerate(inner.output_tensors):
                    flowing[id(tensor)] = given[position] if len(given) == len(inner.output_tensors) else given[0]
        return [flowing.get(id(tensor), _NONE) for tensor in model.outputs]

    def sequential(self, model: Any, tags: list[Tags], node: Any) -> list[Tags]:
        """Layer by layer; layers with code of their own are traced with the shapes of their own call."""
        for layer in model.layers:
            calls = getattr(layer, "_inbound_nodes", ())
            tags = self.through(layer, tags, calls[-1] if calls else None)
        return tags

    def wrapped(self, wrapper: Any, tags: list[Tags], node: Any) -> list[Tags]:
        """TimeDistributed: what it wraps, with the wrapper's call for anything that must be traced."""
        inner = wrapper.layer
        if {*_BOUNDED, *_PASS, *_CONTAINERS}.isdisjoint(_classes(inner)) and embedding_rows(inner):
            self._opaque(wrapper, tags, node)
            return [_NONE]
        return self.through(inner, tags, node)

    def _opaque(self, layer: Any, tags: list[Tags], node: Any) -> None:
        """A layer whose code is its own: read the graph of its call; where that fails, all its Embeddings count."""
        rows = embedding_rows(layer)
        try:
            found = _traced_call(layer, node)
        except Exception:  # anything can happen in a stranger's code, and drawing data must not depend on it
            for tag in tags:
                self.bound(tag, min(rows, default=None))
            return
        for position, tag in enumerate(tags):
            self.bound(tag, found.get(position))


_CONTAINERS: dict[str, Callable[[_Flow, Any, list[Tags], Any], list[Tags]]] = {
    "Sequential": _Flow.sequential,
    "Functional": _Flow.functional,
    "TimeDistributed": _Flow.wrapped,
}


def _spec(tensor: Any, number: int) -> tf.TensorSpec:
    return tf.TensorSpec(tensor.shape, tensor.dtype, name=f"tfopt_{number}")


def _bounds_of(function: Callable[..., Any], specs: Iterable[tf.TensorSpec]) -> dict[int, int]:
    """Traces `function` for `specs` and reads its graph: by position of the argument."""
    specs = list(specs)
    concrete = tf.function(function, autograph=False).get_concrete_function(*specs)
    by_name = concrete_bounds(concrete)
    names = [tensor.op.name for tensor in concrete.inputs]
    return {position: by_name[name] for position, name in enumerate(names[: len(specs)]) if name in by_name}


def _traced_call(layer: Any, node: Any) -> dict[int, int]:
    """Bounds of the tensors that `node` gives `layer`, by their position in the call."""
    arguments = node.arguments

    def call(*tensors: Any) -> Any:
        given = {
            id(keras_tensor): tensor for keras_tensor, tensor in zip(arguments.keras_tensors, tensors, strict=True)
        }
        args, kwargs = keras.tree.map_structure(
            lambda value: given.get(id(value), value), (arguments.args, arguments.kwargs)
        )
        return layer(*args, **kwargs)

    return _bounds_of(call, (_spec(tensor, number) for number, tensor in enumerate(arguments.keras_tensors)))


def graph_vocabularies(model: Any) -> list[int | None]:
    """For each input of a Functional or Sequential model, in order, the bound of its integers (None: none)."""
    flow = _Flow()
    tags = [frozenset({position}) for position in range(len(model.inputs))]
    flow.through(model, tags, None)
    return [flow.bounds.get(position) for position in range(len(model.inputs))]


def traced_vocabularies(call: Callable[..., Any], specs: Iterable[tf.TensorSpec]) -> dict[int, int]:
    """Bounds of the inputs of a model whose graph is unknown, by position, found by tracing `call(*tensors)`.

    Raises:
        Exception: whatever the model's own code raises for these specs.
    """
    return _bounds_of(call, specs)
