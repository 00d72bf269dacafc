"""Which weights are pruned, and why the others are left alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import keras
import numpy as np

from tfopt.errors import InputError, UsageError
from tfopt.model.layers import layer_tree, own_variables
from tfopt.pathways.health.roles import is_normalisation
from tfopt.pathways.models import check_model
from tfopt.pathways.rules.registry import role_of
from tfopt.pruning.axes import axes_of
from tfopt.pruning.prunable import Prunable
from tfopt.records.pruning import LeftAlone
from tfopt.wording import counted, listed

__all__ = ["select"]

_LAYERS = keras.layers


@dataclass(frozen=True, eq=False)  # Keras variables are not hashable
class _Held:
    """A variable, the layer that holds it, and whether a wrapper sets it anew while it trains."""

    variable: Any
    layer: Any
    layer_path: str
    renewed: bool

    @property
    def path(self) -> str:
        return str(self.variable.path)

    @property
    def floating(self) -> bool:
        return bool(keras.backend.is_float_dtype(self.variable._dtype))

    def like(self, patterns: Sequence[str]) -> bool:
        return any(fnmatchcase(self.path, pattern) for pattern in patterns)


def _is_state(held: _Held) -> bool:
    # A frozen layer's weights stay in this list.
    return not held.floating or all(held.variable is not each for each in held.layer._trainable_variables)


def _is_scale(held: _Held) -> bool:
    return is_normalisation(held.layer) or held.variable.name in ("gamma", "scale")


def _is_embedding(held: _Held) -> bool:
    return isinstance(held.layer, _LAYERS.Embedding)  # ReversibleEmbedding is one


def _is_depthwise(held: _Held) -> bool:
    """Also a grouped convolution in which each group has one channel."""
    grouped = getattr(held.layer, "groups", 1) > 1 and held.variable.shape[-2] == 1
    named = held.variable.name == "depthwise_kernel"
    return grouped or named or isinstance(held.layer, _LAYERS.DepthwiseConv1D | _LAYERS.DepthwiseConv2D)


_Reasons = tuple[tuple[str, Callable[[_Held], bool]], ...]

# The first that holds is said.
_NEVER: _Reasons = (
    ("states: statistics, counters, seeds", _is_state),
    ("empty", lambda held: not all(held.variable.shape)),
)
_UNLESS_INCLUDED: _Reasons = (
    ("biases", lambda held: role_of(held.layer, held.variable) == "offset"),
    ("normalization and scales", _is_scale),
    ("embeddings", _is_embedding),
    ("vectors and scalars", lambda held: len(held.variable.shape) < 2),
    ("slopes of activations", lambda held: role_of(held.layer, held.variable) == "statistic"),
    ("custom weights that no rule describes", lambda held: role_of(held.layer, held.variable) != "weight"),
    ("depthwise kernels", _is_depthwise),
    ("normalized anew in every training step", lambda held: held.renewed),
)


def select(
    model: Any, include: Sequence[str] = (), exclude: Sequence[str] = ()
) -> tuple[tuple[Prunable, ...], tuple[LeftAlone, ...]]:
    """The weights that are pruned, in the order of the layer tree, and all others, added up by the reason.

    By default these are the kernels: weights of two axes and more that multiply what comes in, recurrent and frozen
    ones too; no biases, norms, scales, embeddings and depthwise kernels.

    Args:
        model: a built Keras model. Nothing of it is changed.
        include: patterns of paths (`"dense_*/kernel"`) in place of the default choice.
        exclude: patterns of what to leave alone of that.

    Raises:
        UsageError: the model is not built, no weight is like a pattern, or `exclude` leaves nothing.
        InputError: this is no Keras model; there is nothing to prune; a weight that is chosen is quantized or has
            adapters, so that its zeros would not be those of what is computed; weights are NaN, or chosen and infinite.
    """
    check_model(model)
    held = _all_held(model)
    paths = [each.path for each in held]
    for pattern in (*include, *exclude):
        if not any(each.like([pattern]) for each in held):
            raise UsageError(f"no weight of {model.name} is like {pattern}", f"it has {listed(paths)}")
    reasons = [_why_not(each, include, exclude) for each in held]
    chosen = [each for each, reason in zip(held, reasons, strict=True) if not reason]
    if not chosen:
        if "excluded" in reasons:
            raise UsageError(f"nothing of {model.name} is left to prune", "give --exclude fewer weights")
        raise InputError(
            f"{model.name} has nothing to prune: {listed(list(dict.fromkeys(reasons))) or 'it has no weights'}",
            "kernels are pruned unless --include says otherwise; tfopt inspect shows the layers",
        )
    _check_numbers(held, chosen)
    return tuple(_prunable(each) for each in chosen), _added_up(held, reasons)


def _all_held(model: Any) -> list[_Held]:
    tree = layer_tree(model)
    layers = {node.path: node.layer for node in tree}
    renewed = {id(node.layer.layer) for node in tree if isinstance(node.layer, _LAYERS.SpectralNormalization)}
    return [
        _Held(variable, layers[path], path, id(layers[path]) in renewed)
        for path, variables in own_variables(tree).items()
        for variable in variables
    ]


def _why_not(held: _Held, include: Sequence[str], exclude: Sequence[str]) -> str:
    """Why a weight is left alone; empty where it is pruned."""
    if held.like(exclude):
        return "excluded"
    if include and not held.like(include):
        return "not included"
    _refuse_codes(held)
    reasons = _NEVER if include else (*_NEVER, *_UNLESS_INCLUDED)
    return next((reason for reason, holds in reasons if holds(held)), "")


def _refuse_codes(held: _Held) -> None:
    if held.variable.name not in ("kernel", "pointwise_kernel", "recurrent_kernel"):
        return
    mode = getattr(held.layer, "quantization_mode", None)
    leave = f"or leave it alone with --exclude '{held.path}'"
    if mode:
        raise InputError(f"{held.path} is quantized ({mode})", f"prune the model before it is quantized, {leave}")
    if getattr(held.layer, "lora_enabled", False):
        raise InputError(
            f"{held.path} has low-rank adapters, which would fill its zeros",
            f"save it and load the weights into layers without lora_rank, {leave}",
        )


def _check_numbers(held: Sequence[_Held], chosen: Sequence[_Held]) -> None:
    """An infinite weight that nobody prunes may be meant (a mask that is added to scores); a NaN never is."""
    pruned = {id(each) for each in chosen}
    for each in held:
        if each.floating:
            values = each.variable.numpy()
            wrong = int(np.sum(~np.isfinite(values) if id(each) in pruned else np.isnan(values)))
            if wrong:
                kind = "NaN or infinite" if id(each) in pruned else "NaN"
                raise InputError(
                    f"{counted(wrong, 'value')} of {each.path} {'is' if wrong == 1 else 'are'} {kind}",
                    "training went astray: prune an earlier checkpoint",
                )


def _prunable(held: _Held) -> Prunable:
    return Prunable(held.variable, held.layer, held.layer_path, *axes_of(held.layer, held.variable))


def _added_up(held: Sequence[_Held], reasons: Sequence[str]) -> tuple[LeftAlone, ...]:
    groups: dict[str, list[Any]] = {}
    for each, reason in zip(held, reasons, strict=True):
        if reason:
            groups.setdefault(reason, []).append(each.variable.numpy())
    return tuple(
        LeftAlone(
            reason=reason,
            variables=len(arrays),
            size=sum(int(array.size) for array in arrays),
            zeros=sum(int(np.sum(array == 0)) for array in arrays),
        )
        for reason, arrays in groups.items()
    )
