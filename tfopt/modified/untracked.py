"""Raw `tf.Variable`s in layers: Keras 3 does not see them, so that they are not saved, trained or overridden."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from types import FunctionType
from typing import Any

import tensorflow as tf

from tfopt.model.layers import layer_tree

__all__ = ["untracked"]

_TENSORFLOW_S = "_self_"  # its books about what the other attributes hold


def untracked(model: Any) -> tuple[str, ...]:
    """`layer.attribute` for each attribute of a layer that is a raw variable, or holds one: a list, a dict, a
    `tf.Module`, or a function that uses it, as in a Lambda."""
    return tuple(
        f"{node.path}.{name}"
        for node in layer_tree(model)
        for name, value in vars(node.layer).items()
        if not name.startswith(_TENSORFLOW_S) and any(isinstance(part, tf.Variable) for part in _parts(value))
    )


def _parts(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        value = list(value.values())
    elif isinstance(value, tf.Module):
        value = value.variables
    if isinstance(value, list | tuple):
        for part in value:
            yield from _parts(part)
    elif isinstance(value, FunctionType):
        used = inspect.getclosurevars(value)
        yield from (*used.nonlocals.values(), *used.globals.values())
    else:
        yield value
