"""Run a loaded model in another precision, and count what really computes in it.

`mixed_*` sets the policy of every layer of the loaded model: variables stay float32, computation is cast. Pure
`float16`/`bfloat16` needs new layers: setting the policy alone leaves float32 variables and float32 MatMuls; so the
model is cloned layer by layer with the dtype in each config, and the weights are copied. Every layer gets the policy,
the output too; Keras computes losses in float32 all the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import keras
from keras.src.models.functional import Functional

from tfopt.errors import InputError
from tfopt.model.recursion import deep_networks
from tfopt.records.profile import PrecisionInfo
from tfopt.workload.compilation import recompile

__all__ = ["census", "is_product", "precision_of", "with_precision"]

_COMPUTE = ("MatMul", "Conv2D", "Conv3D", "Conv1D", "DepthwiseConv", "Einsum")


def with_precision(model: Any, precision: str | None) -> Any:
    """The model to run for `precision`: the same object, or a clone where variables change their dtype.

    None keeps the dtypes that the model has. Raises InputError where a layer cannot be rebuilt in the dtype.
    """
    if precision in (None, precision_of(model)):
        return model
    if precision in _HALF or _stored_in_half(model):  # the variables change their dtype
        return _clone(model, precision)
    return _with_policy(model, precision)


def precision_of(model: Any) -> str:
    """The precision that a model's layers have: the policy of those with weights, or a list of several."""
    layers = [layer for layer in model._flatten_layers() if layer.weights and not layer._layers]
    names = {layer.dtype_policy.name: None for layer in layers or [model]}
    return ", ".join(names)


_HALF = ("float16", "bfloat16")


def _stored_in_half(model: Any) -> bool:
    return any(variable.dtype in _HALF for variable in model.weights)


def _with_policy(model: Any, precision: str) -> Any:
    for layer in model._flatten_layers():
        policy = layer.dtype_policy
        # Integer and string preprocessing layers, and quantized ones, keep what they have.
        if policy.quantization_mode is None and keras.backend.is_float_dtype(policy.compute_dtype or ""):
            layer.dtype_policy = precision
    return model


def _clone(model: Any, precision: str) -> Any:
    way_out = f"--precision mixed_{precision} runs any model" if precision in _HALF else "leave --precision out"
    if not getattr(model, "inputs", None) or not isinstance(model, keras.Sequential | Functional):
        raise InputError(
            f"{type(model).__name__} is a subclassed model: tfopt cannot rebuild it in {precision}", way_out
        )

    def rebuild(layer: Any) -> Any:
        config = layer.get_config()
        if isinstance(layer, keras.layers.Layer):
            config = _with_dtype(config, precision)
        return type(layer).from_config(config)

    compiled = model.compiled
    try:
        # Keras would compile the clone from a serialized state, which custom losses do not have.
        object.__setattr__(model, "compiled", False)
        with deep_networks():
            clone = keras.models.clone_model(model, clone_function=rebuild, recursive=True)
        clone.set_weights(model.get_weights())
        if compiled:
            recompile(clone, model)
    except Exception as error:
        cause = str(error).strip().splitlines()[0][:160] if str(error).strip() else type(error).__name__
        raise InputError(f"the model cannot be rebuilt in {precision}: {cause}", way_out) from error
    finally:
        object.__setattr__(model, "compiled", compiled)
    if type(clone) is not type(model):
        raise InputError(
            f"{type(model).__name__} is a class of its own: tfopt cannot rebuild it in {precision}", way_out
        )
    return clone


def _with_dtype(config: Any, precision: str) -> Any:
    """A layer's config with its dtype, and that of layers inside it, replaced.

    Weights are copied afterwards, so an initializer that does not know the dtype (QR has no bfloat16) is exchanged.
    """
    if isinstance(config, list | tuple):
        return type(config)(_with_dtype(part, precision) for part in config)
    if not isinstance(config, dict):
        return config
    if config.get("class_name") in ("OrthogonalInitializer", "Orthogonal"):
        return {"module": "keras.initializers", "class_name": "Zeros", "config": {}, "registered_name": None}
    changed = {key: _with_dtype(value, precision) for key, value in config.items() if key != "dtype"}
    if "dtype" in config:
        changed["dtype"] = precision if _is_float_policy(config["dtype"]) else config["dtype"]
    return changed


def _is_float_policy(dtype: Any) -> bool:
    name = dtype.get("config", {}).get("name") if isinstance(dtype, dict) else dtype
    return name in ("float32", "mixed_float16", "mixed_bfloat16", "float16", "bfloat16", None)


def is_product(type_: str) -> bool:
    """Whether a type of op is a matrix product or a convolution."""
    return any(word in type_ for word in _COMPUTE)


def census(nodes: Iterable[tuple[str, str, str]], precision: str | None) -> PrecisionInfo:
    """Count the matrix products and convolutions of a graph by dtype, from its (type, name, dtype) nodes."""
    compute = [(name, dtype) for type_, name, dtype in nodes if is_product(type_)]
    counts = Counter(dtype for _, dtype in compute)
    stayed = [name for name, dtype in compute if dtype == "float32"] if precision not in (None, "float32") else []
    return PrecisionInfo(compute_ops=dict(sorted(counts.items())), float32_ops=tuple(stayed))
