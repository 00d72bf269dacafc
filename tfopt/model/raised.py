"""Every layer, nested model and loss computes in one dtype, in this thread, while a block traces or runs them.

Nothing of a model changes: Keras is asked for the dtype in other words. What variables are read as is the affair of a
`keras.StatelessScope` beside this.

Private names of Keras used here are in `PRIVATE`; a test checks that they exist.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf
from keras.src.dtype_policies.dtype_policy import DTypePolicy
from keras.src.models.functional import Functional
from keras.src.models.sequential import Sequential

from tfopt.model.patching import patching

__all__ = ["LOCK", "PRIVATE", "Wrapper", "only_in", "raised"]

Wrapper = Callable[[Callable[..., Any]], Callable[..., Any]]

PRIVATE = (
    (DTypePolicy, "compute_dtype"),
    (Functional, "_convert_inputs_to_tensors"),
    (Sequential, "input_dtype"),
    (keras.losses.Loss, "dtype"),
)

LOCK = threading.RLock()
"""Whoever replaces functions of Keras holds it."""


@contextlib.contextmanager
def raised(dtype: str) -> Iterator[None]:
    """Layers and losses that compute in any floating dtype compute in `dtype`, in this thread; one thread at a time,
    others see Keras as it is, except for `keras.config.floatx()`, which is everybody's."""
    floatx, thread = keras.config.floatx(), threading.get_ident()
    with LOCK, patching() as patch:
        for owner, name in ((DTypePolicy, "compute_dtype"), (keras.losses.Loss, "dtype"), (Sequential, "input_dtype")):
            patch(owner, name, _instead(dtype, vars(owner)[name], thread))
        # It would cast what a nested model is given back to the dtype that it was made with.
        convert = Functional._convert_inputs_to_tensors
        patch(Functional, "_convert_inputs_to_tensors", only_in(thread)(convert, lambda original: _as_they_are))
        try:
            keras.config.set_floatx(dtype)
            yield
        finally:
            keras.config.set_floatx(floatx)


def only_in(thread: int) -> Callable[[Callable[..., Any], Wrapper], Callable[..., Any]]:
    """Makes a function and a wrapper into a function that is wrapped in `thread` and the original elsewhere."""

    def ours(original: Callable[..., Any], wrapper: Wrapper) -> Callable[..., Any]:
        replacement = wrapper(original)

        @functools.wraps(original)
        def chosen(*args: Any, **kwargs: Any) -> Any:
            return (replacement if threading.get_ident() == thread else original)(*args, **kwargs)

        return chosen

    return ours


def _instead(dtype: str, original: property, thread: int) -> property:
    """A property with `dtype` in place of any other of floating-point numbers."""

    def computing(owner: Any) -> Any:
        own = original.__get__(owner)
        return dtype if threading.get_ident() == thread and keras.backend.is_float_dtype(str(own)) else own

    return property(computing)


def _as_they_are(model: Any, inputs: Sequence[Any]) -> Any:
    """Whole numbers become floating ones where the model was made for these."""
    floating = [keras.backend.is_float_dtype(each.dtype) for each in model._inputs]
    tensors = [each if each is None or tf.is_tensor(each) else tf.convert_to_tensor(each) for each in inputs]
    return [
        tf.cast(each, keras.config.floatx()) if wanted and each is not None and each.dtype.is_integer else each
        for each, wanted in zip(tensors, floating, strict=True)
    ]
