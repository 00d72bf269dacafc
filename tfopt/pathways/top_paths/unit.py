"""The strongest ways from channel to channel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from tfopt.pathways.rules.activations import ELEMENTWISE, is_elementwise
from tfopt.pathways.top_paths.best import NO_PATH, best_of_all, passed, stack, start
from tfopt.pathways.top_paths.transfers import Call, Unavailable, Units, transfer_for
from tfopt.pathways.top_paths.transfers.merges import function_of
from tfopt.pathways.top_paths.wiring import Made, Tensor, Wiring, tensors_in, wiring_of
from tfopt.records.influence import StrongPath, StrongPaths

__all__ = ["unit_paths"]

_FUNCTIONS = frozenset(name.replace("_", "") for name in ELEMENTWISE) | {"linear", "softmax", "logsoftmax"}
_SHAPING = (keras.layers.Reshape, keras.layers.Flatten, keras.layers.Permute, keras.layers.Dropout)


def unit_paths(model: Any, k: int, input_shape: Sequence[str] = ()) -> StrongPaths:
    """The k paths of the largest product of |w|, for any k; see `top_paths`."""
    wiring = wiring_of(model, lambda kind: transfer_for(kind) is not None, input_shape)
    states: dict[Tensor, Units | str] = {}
    first = _has_channels_first(model)
    for name, tensor in wiring.inputs:
        if tensor.floating:
            states[tensor] = _entering(name, tensor, k, first)
    last = _last(wiring)
    for made in wiring.calls:
        states.update(_through(Call(made, states, k, made in last)))
    return _told(wiring, states)


def _has_channels_first(model: Any) -> bool:
    return any(getattr(layer, "data_format", None) == "channels_first" for layer in model._flatten_layers())


def _entering(name: str, tensor: Tensor, k: int, channels_first: bool) -> Units:
    axis = 1 if channels_first or len(tensor.shape) < 2 else len(tensor.shape) - 1
    return Units(start(np.zeros(tensor.shape[axis] or 1), k).at((name, 1)), axis)


def _through(call: Call) -> dict[Tensor, Units | str]:
    """The ways to what a call makes, or why there are none."""
    made = call.made
    outputs = list(tensors_in(made.outputs))
    if not outputs:
        return {}
    try:
        found = _transferred(call)
    except Unavailable as reason:
        known = [state for tensor in call.tensors if isinstance(state := call.states.get(tensor), str)]
        why = str(reason) if str(reason) in known else f"{made.path} ({type(made.operation).__name__}): {reason}"
        return dict.fromkeys(outputs, why)
    several = found if isinstance(found, list) else [found]
    return {
        tensor: replace(units, best=units.best.at((made.path, made.call)))
        for tensor, units in zip(outputs, several, strict=False)
    }


def _transferred(call: Call) -> Units | list[Units]:
    operation, function = call.layer, function_of(call.layer)
    apply = transfer_for(type(operation))
    if apply is None and not isinstance(operation, keras.layers.Layer) and function in _FUNCTIONS:
        apply = transfer_for(keras.layers.Activation)
    if apply is None:
        raise Unavailable("no rule is known for it")
    activation = getattr(operation, "activation", None)
    if activation is not None and function not in _FUNCTIONS and not is_elementwise(activation):
        raise Unavailable("its activation is no function of each number by itself")
    found = apply(call)
    if "softmax" not in function or call.last or isinstance(found, list):
        return found
    return replace(found, best=passed(found.best, -np.inf))  # frozen: nothing leads through it


def _last(wiring: Wiring) -> set[Made]:
    """The calls whose results are outputs, or outputs in another shape."""
    found: set[Made] = set()
    tensors = list(wiring.outputs)
    while tensors:
        maker = tensors.pop().maker
        if maker is not None and maker not in found:
            found.add(maker)
            if isinstance(maker.operation, _SHAPING):
                tensors += tensors_in(maker.args)
    return found


def _told(wiring: Wiring, states: dict[Tensor, Units | str]) -> StrongPaths:
    ends = []
    for tensor in wiring.outputs:
        state = states.get(tensor, "an output is computed outside of layers")
        if isinstance(state, str):
            return StrongPaths(level="unit", paths=(), unavailable=state)
        ends.append(passed(state.best))
    found = best_of_all(stack(ends)) if ends else ()
    paths = tuple(
        StrongPath(
            steps=tuple((path, unit) for (path, _), unit in steps),
            calls=tuple(call for (_, call), _ in steps),
            log10_weight=value,
        )
        for value, steps in found
    )
    return StrongPaths(level="unit", paths=paths, unavailable="" if paths else NO_PATH)
