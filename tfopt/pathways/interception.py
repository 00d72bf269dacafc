"""Everything that influence touches inside Keras: what is replaced while a model is traced, and put back after it.

A call of a layer or of a `keras.ops` operation, of an activation function or of a pooling goes through the functions
given here, variables have the values given here, and every layer computes in one dtype. Nothing of the model changes:
its variables keep their values (`keras.StatelessScope`), its layers get their attributes back, and the classes and
modules of Keras their functions, whatever happens in between. One thread at a time; other threads see Keras as it is,
but for `keras.config.floatx`, which is one for all, and the layers of this very model, which nobody may call meanwhile.

Private names of Keras used here are in `PRIVATE`; a test checks that they exist.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
from keras.src import backend
from keras.src.applications.convnext import LayerScale
from keras.src.layers.layer import Layer
from keras.src.ops import nn as nn_operations
from keras.src.ops import numpy as numpy_operations
from keras.src.ops.operation import Operation

from tfopt.model.patching import patching
from tfopt.model.raised import LOCK, Wrapper, only_in, raised
from tfopt.workload.scope_names import usable_scopes

__all__ = [
    "BACKENDS",
    "PRIVATE",
    "Handler",
    "LayerScale",
    "carry_mask",
    "intercepted",
    "keep_mask",
    "layers_of",
    "observed",
    "operation_class",
]

Handler = Callable[[Any, Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]
"""Is given an operation, how to call it, and the arguments; returns its outputs."""

BACKENDS = {"nn": backend.nn, "numpy": backend.numpy}

PRIVATE = (
    (Operation, "__call__"),
    (Layer, "__call__"),
    (Layer, "_flatten_layers"),
    (Layer, "_set_mask_metadata"),
    (Layer(), "_losses"),
    (Layer(), "_loss_ids"),
    (keras.StatelessScope(), "state_mapping"),
    (backend, "get_keras_mask"),
    (backend, "set_keras_mask"),
)


def layers_of(model: Any) -> list[Any]:
    """`model` and every layer in it."""
    return list(model._flatten_layers())


def operation_class(name: str) -> type:
    """The class behind `keras.ops.…`, by its name in `keras.src.ops.numpy` or `keras.src.ops.nn`."""
    found: type = getattr(numpy_operations, name, None) or getattr(nn_operations, name)
    return found


def keep_mask(source: Any, target: Any) -> Any:
    """`target`, with the Keras mask that `source` has."""
    mask = backend.get_keras_mask(source)
    if mask is not None:
        backend.set_keras_mask(target, mask)
    return target


def carry_mask(layer: Any, first: Any, outputs: Any) -> Any:
    """`outputs` of a layer whose own `__call__` was passed by, with the Keras mask that it would have given them."""
    masks = keras.tree.map_structure(backend.get_keras_mask, first)
    if layer.supports_masking and any(mask is not None for mask in keras.tree.flatten(masks)):
        layer._set_mask_metadata(first, outputs, masks)
    return outputs


@contextlib.contextmanager
def observed(
    model: Any, handler: Handler, *, functions: Mapping[str, Wrapper], attributes: Mapping[str, Wrapper]
) -> Iterator[Callable[[Any, str, Any], None]]:
    """While the block traces `model`, in this thread, with variables and dtypes as they are:

    Args:
        model: whose layers are meant by `attributes`.
        handler: every call of a layer or operation goes through it.
        functions: `"nn.relu"` or `"numpy.tanh"`: what takes the place of that function of Keras's backend.
        attributes: `"activation"`: what takes the place of such an attribute of a layer, where it can be called.

    Yields:
        `patch(target, name, replacement)`, for whatever else is to be replaced meanwhile.
    """
    with LOCK, usable_scopes(), patching() as patch:
        ours = only_in(threading.get_ident())
        patch(Operation, "__call__", ours(Operation.__call__, _operation_call(handler)))
        patch(Layer, "__call__", ours(Layer.__call__, _layer_call(handler)))
        for name, wrapper in functions.items():
            module, function = name.split(".")
            original = getattr(BACKENDS[module], function)
            patch(BACKENDS[module], function, ours(original, _wrapped(wrapper(original))))
        for layer in layers_of(model):
            for name, wrapper in attributes.items():
                if callable(vars(layer).get(name)):
                    patch(layer, name, wrapper(vars(layer)[name]))
        yield patch


@contextlib.contextmanager
def intercepted(
    model: Any,
    handler: Handler,
    *,
    functions: Mapping[str, Wrapper],
    attributes: Mapping[str, Wrapper],
    values: Sequence[tuple[Any, Any]],
    dtype: str | None,
) -> Iterator[dict[int, Any]]:
    """The same (`observed`), with other values and another dtype:

    Args:
        model: see `observed`; so are `handler`, `functions` and `attributes`.
        values: what each variable's value is, of the variable's shape and any dtype.
        dtype: the dtype in which layers compute; None: each in its own.

    Yields:
        The values by the variables' ids; a change there holds from then on.
    """
    scope = keras.StatelessScope()
    # Given to the constructor, they would be cast to the variables' dtypes.
    scope.state_mapping.update((id(variable), value) for variable, value in values)
    with (
        observed(model, handler, functions=functions, attributes=attributes) as patch,
        contextlib.nullcontext() if dtype is None else raised(dtype),
    ):
        for layer in layers_of(model):
            patch(layer, "_losses", [])  # of the trace, whose tensors must not outlive it
            patch(layer, "_loss_ids", set())
            if "use_cudnn" in vars(layer):  # the fused kernel would pass the cell by
                patch(layer, "use_cudnn", False)
        with scope:
            yield scope.state_mapping


def _wrapped(replacement: Callable[..., Any]) -> Wrapper:
    return lambda original: replacement


def _layer_call(handler: Handler) -> Wrapper:
    def wrapper(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
            return handler(layer, functools.partial(original, layer), args, kwargs)

        return call

    return wrapper


def _operation_call(handler: Handler) -> Wrapper:
    def wrapper(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(operation: Any, *args: Any, **kwargs: Any) -> Any:
            if isinstance(operation, Layer):  # on its way through Layer.__call__, where the handler had it
                return original(operation, *args, **kwargs)
            return handler(operation, functools.partial(original, operation), args, kwargs)

        return call

    return wrapper
