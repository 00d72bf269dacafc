"""What remembers, or repeats, how a model read its weights reads them anew while weights are overridden.

A function that `tf.function` traced before would run with the weights of that trace, one that it traces now would keep
the overrides for good; a layer of a `keras.RematScope` would be computed again in the backward pass, when nothing is
overridden any more. Inside the block, in this thread, the former run as they are written (in a graph they are traced
for this one call), and the latter keep their activations.

Private names of TensorFlow and Keras used here are in `PRIVATE`; a test checks that they exist.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf
from keras.src.layers.layer import Layer

from tfopt.model.patching import patching

__all__ = ["PRIVATE", "afresh"]

_Function = type(tf.function(lambda: None))

PRIVATE = (
    (_Function, "__call__"),
    (_Function, "_clone"),
    (_Function, "python_function"),
    (Layer, "rematerialized_call"),
)

# No lock is held while a block runs: replica threads wait for one another inside of it.
_LOCK = threading.Lock()
_blocks: Counter[int] = Counter()  # of each thread
_patches = contextlib.ExitStack()


@contextlib.contextmanager
def afresh() -> Iterator[None]:
    """For a block of calls; blocks nest, and threads do not wait for one another."""
    thread = threading.get_ident()
    with _LOCK:
        if not _blocks:
            patch = _patches.enter_context(patching())
            patch(_Function, "__call__", _where_inside(_Function.__call__, _traced_anew(_Function.__call__)))
            patch(Layer, "rematerialized_call", _where_inside(Layer.rematerialized_call, _as_it_is))
        _blocks[thread] += 1
    try:
        yield
    finally:
        with _LOCK:
            _blocks[thread] -= 1
            if not _blocks[thread]:
                del _blocks[thread]
            if not _blocks:
                _patches.close()


def _where_inside(original: Callable[..., Any], replacement: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def chosen(*args: Any, **kwargs: Any) -> Any:
        return (replacement if threading.get_ident() in _blocks else original)(*args, **kwargs)

    return chosen


def _traced_anew(call: Callable[..., Any]) -> Callable[..., Any]:
    def anew(function: Any, *args: Any, **kwargs: Any) -> Any:
        if tf.executing_eagerly():
            return function.python_function(*args, **kwargs)
        return call(function._clone(None), *args, **kwargs)

    return anew


def _as_it_is(layer: Any, layer_call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return layer_call
