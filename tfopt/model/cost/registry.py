"""The registry of closed forms: by layer class, for its subclasses too as long as they compute the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tfopt.model.cost.work import Call, Work

__all__ = ["Formula", "formula", "formula_for"]

Formula = Callable[[Call], Work]

_FORMULAS: dict[type, Formula] = {}
# What a subclass may replace without computing something else.
_HARMLESS = {"build", "get_config", "from_config", "compute_output_shape", "compute_output_spec", "compute_mask"}


def formula(*classes: type) -> Callable[[Formula], Formula]:
    """Register a function as the closed form of these layer classes."""

    def register(function: Formula) -> Formula:
        _FORMULAS.update(dict.fromkeys(classes, function))
        return function

    return register


def formula_for(layer: Any) -> Formula | None:
    """The closed form of a layer; None where its class has none, or computes something else than the class that has.

    A stranger's subclass that replaces a method, a quantized layer and one with low-rank adapters compute something
    else.
    """
    known = next((cls for cls in type(layer).__mro__ if cls in _FORMULAS), None)
    adapted = getattr(layer, "lora_enabled", False) or getattr(layer, "quantization_mode", None)
    if known is None or adapted or _replaces(type(layer), known):
        return None
    return _FORMULAS[known]


def _replaces(cls: type, known: type) -> bool:
    """Whether a stranger's class between `cls` and `known` has a method of its own in place of one of `known`'s."""
    between = cls.__mro__[: cls.__mro__.index(known)]
    return any(
        callable(value) and hasattr(known, name) and not name.startswith("__") and name not in _HARMLESS
        for base in between
        if base.__module__.partition(".")[0] != "keras"
        for name, value in vars(base).items()
    )
