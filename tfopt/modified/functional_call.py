"""A model evaluated at weights that it does not have: the way to gradients through modified weights.

Assigning `layer.kernel = tensor` fails on Keras 3, and `variable.assign(tensor)` cuts the gradient; here the model's
variables read as the tensors while it runs. Exact in eager mode, in graphs and under XLA.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

from tfopt.errors import InputError, UsageError
from tfopt.model.addressing import ByVariable, by_variable
from tfopt.model.raised import raised
from tfopt.modified.afresh import afresh
from tfopt.modified.scope import OverrideScope
from tfopt.workload.failures import first_line
from tfopt.workload.scope_names import usable_scopes

__all__ = ["as_dtype", "functional_call", "overridden"]


def functional_call(
    model: Any,
    overrides: ByVariable,
    *args: Any,
    return_losses: bool = False,
    strict: bool = True,
    dtype: str | None = None,
    **kwargs: Any,
) -> Any:
    """`model(*args, **kwargs)` at the weights in `overrides`.

    Gradients are exact with respect to the tensors and to what they were made of. Updates of other variables
    (BatchNormalization's statistics, states of seeds) are kept; all is as before afterwards, whatever happens.

    Args:
        model: a built Keras model or layer.
        overrides: `{path: tensor}` or (variable, tensor) pairs, of the variable's shape and dtype.
        return_losses: return the outputs and the list of `model.losses` (regularizers at the overridden weights,
            `add_loss`), which is gone after the call.
        strict: refuse paths and variables that are not the model's; otherwise paths are passed over.
        dtype: evaluate everything in it, `"float64"` for a float32 model: all variables are cast to it, the overrides
            are in it or are cast, and so are floating inputs.

    Raises:
        InputError: the model is not built.
        UsageError: an override fits no variable, or has another shape or dtype.
        RunFailed: the call updates an overridden variable.
    """
    with overridden(model, overrides, strict=strict, dtype=dtype):
        if dtype is not None:
            args, kwargs = as_dtype((args, kwargs), dtype)
        outputs = model(*args, **kwargs)
        return (outputs, list(model.losses)) if return_losses else outputs


@contextlib.contextmanager
def overridden(model: Any, overrides: ByVariable, *, strict: bool = True, dtype: str | None = None) -> Iterator[None]:
    """What `functional_call` does, for a block of calls of `model`, of `model.losses` and of `model.compute_loss`."""
    if not model.built:
        raise InputError(f"{model.name} is not built", "call it on a batch, or model.build(input_shape), first")
    pairs = by_variable(model.name, model.variables, overrides, strict=strict)
    scope = OverrideScope([(variable, _fitting(variable, value, dtype)) for variable, value in pairs], dtype)
    with usable_scopes(), afresh(), raised(dtype) if dtype else contextlib.nullcontext(), scope.refusing(), scope:
        yield


def as_dtype(structure: Any, dtype: str) -> Any:
    """A structure with its floating tensors and arrays as tensors of `dtype`, all else as it is."""

    def cast(leaf: Any) -> Any:
        floating = hasattr(leaf, "dtype") and keras.backend.is_float_dtype(keras.backend.standardize_dtype(leaf.dtype))
        return tf.cast(leaf, dtype) if floating else leaf

    return keras.tree.map_structure(cast, structure)


def _fitting(variable: Any, value: Any, dtype: str | None) -> Any:
    try:
        tensor = tf.convert_to_tensor(value)
    except (TypeError, ValueError) as error:
        raise UsageError(f"the override of {variable.path} is no tensor: {first_line(error)}", "give one") from error
    own = keras.backend.standardize_dtype(variable._dtype)
    if dtype is not None and tensor.dtype.is_floating and keras.backend.is_float_dtype(own):
        tensor = tf.cast(tensor, dtype)
    elif tensor.dtype.name != own:
        raise UsageError(f"{variable.path} is {own}, its override {tensor.dtype.name}", f"cast it to {own}")
    if not tensor.shape.is_compatible_with(variable.shape):
        raise UsageError(
            f"{variable.path} has the shape {tuple(variable.shape)}, its override {tuple(tensor.shape)}",
            "give a tensor of the variable's shape",
        )
    return tensor
