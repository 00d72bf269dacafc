"""A model in inference mode, in a dtype that is fine enough: no Dropout, BatchNormalization by its moving averages,
layers of half precision in float32. Nothing of it is changed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras

from tfopt.pathways.interception import Handler, intercepted
from tfopt.pathways.surrogate import in_dtype

__all__ = ["fine_dtype", "inferring"]


def _as_it_is(operation: Any, run: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return run(*args, **kwargs)


def fine_dtype(model: Any) -> str:
    """float64 for a model that has weights of it, else float32."""
    return "float64" if any(variable.dtype == "float64" for variable in model.weights) else "float32"


@contextlib.contextmanager
def inferring(
    model: Any, handler: Handler = _as_it_is, values: Sequence[tuple[Any, Any]] = ()
) -> Iterator[Callable[[Any], Any]]:
    """Yields what calls the model on inputs, eagerly or in a trace; every call of a layer goes through `handler`,
    variables in `values` have the values given there."""
    dtype = fine_dtype(model)
    own = ((each, each.value) for each in model.weights if keras.backend.is_float_dtype(each.dtype))
    cast = [(variable, in_dtype(value, dtype)) for variable, value in (*own, *values)]
    training = {"training": False} if getattr(model, "_call_has_training_arg", False) else {}
    with intercepted(model, handler, functions={}, attributes={}, values=cast, dtype=dtype):
        yield lambda x: model(in_dtype(x, dtype), **training)
