"""The end of a model: which layers give its outputs, and whether a softmax or sigmoid is the last thing they do.

A softmax's outputs sum to 1 whatever the weights are: what carries the result is found at its argument, the logits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras

from tfopt.pathways.nodes import tensor_key

__all__ = ["heads_of", "last_squashes"]

L = keras.layers

_SQUASHING = frozenset({"softmax", "log_softmax", "sigmoid"})
_SHAPING = (L.Reshape, L.Flatten, L.Permute, L.Identity, L.Dropout, L.Cropping1D, L.Cropping2D)
_VIEWS = frozenset({"Identity", "Reshape", "Squeeze", "ExpandDims", "Cast", "StopGradient", "Transpose"})


def heads_of(model: Any) -> frozenset[int]:
    """The ids of layers whose softmax or sigmoid gives an output of a model that Keras knows the graph of."""
    return frozenset(id(layer) for layer in _heads(model))


def _heads(model: Any) -> Iterator[Any]:
    try:
        outputs = keras.tree.flatten(model.outputs or ())
    except (AttributeError, ValueError):
        return
    for output in outputs:
        yield from _head(output)


def _head(tensor: Any) -> Iterator[Any]:
    history = getattr(tensor, "_keras_history", None)
    if history is None:
        return
    operation = history.operation
    if isinstance(operation, keras.Model):
        yield from _heads(operation)
    elif isinstance(operation, _SHAPING):
        yield from _head(operation._inbound_nodes[history.node_index].input_tensors[0])
    elif isinstance(operation, L.Softmax) or _function(operation) in _SQUASHING:
        yield operation


def _function(operation: Any) -> str:
    if isinstance(operation, L.RNN | L.Bidirectional | L.TimeDistributed):
        return ""
    if not isinstance(operation, L.Layer):
        return type(operation).__name__.lower()  # the operation behind keras.ops.softmax
    return str(getattr(getattr(operation, "activation", None), "__name__", ""))


def last_squashes(
    squashes: Sequence[Any | None], outputs: Sequence[Any], unscaled: Mapping[tuple[int, str], Any]
) -> frozenset[int]:
    """Which of the tensors are outputs, or outputs in another shape or at another scale, by number; `unscaled` has by
    a tensor's key what it was before it was normalised."""
    numbers = {tensor_key(tensor): number for number, tensor in enumerate(squashes) if tensor is not None}
    found = set()
    for output in outputs:
        tensor = output
        while tensor_key(tensor) not in numbers and (tensor_key(tensor) in unscaled or tensor.op.type in _VIEWS):
            tensor = unscaled.get(tensor_key(tensor), tensor.op.inputs[0])
        found.add(numbers.get(tensor_key(tensor), -1))
    return frozenset(found - {-1})
