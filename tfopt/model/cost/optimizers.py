"""What an optimizer's update costs per trained value."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from tfopt.model.sizes import item_bytes

__all__ = ["update_bytes", "update_flops"]


def _sgd(optimizer: Any) -> tuple[int, int]:
    if not optimizer.momentum:
        return 2, 0  # w -= rate·g
    return (7 if optimizer.nesterov else 4), 1  # m = μ·m − rate·g; w += m, or w += μ·m − rate·g, all of it anew


def _rmsprop(optimizer: Any) -> tuple[int, int]:
    # v = ρ·v + (1−ρ)·g²; step = rate·g / √(v+ε); w −= step
    flops, slots = 4 + 4 + 1, 1
    if optimizer.centered:
        flops, slots = flops + 3 + 2, slots + 1  # a = ρ·a + (1−ρ)·g; v − a²
    if optimizer.momentum:
        flops, slots = flops + 2, slots + 1
    return flops, slots


def _adam(optimizer: Any) -> tuple[int, int]:
    # m += (g−m)·(1−β₁); v += (g²−v)·(1−β₂); w −= m·α / (√v+ε)
    flops, slots = 3 + 4 + 5, 2
    return (flops + 1, slots + 1) if getattr(optimizer, "amsgrad", False) else (flops, slots)


_RULES: dict[str, Callable[[Any], tuple[int, int]]] = {
    "SGD": _sgd,
    "RMSprop": _rmsprop,
    "Adam": _adam,
    "AdamW": _adam,
    "Adamax": lambda optimizer: (3 + 4 + 4, 2),  # m as Adam; u = max(β₂·u, |g|); w −= α·m / (u+ε)
    # as Adam; m' = a·m/b + c·g/d; w −= rate·m' / (√(v/e)+ε)
    "Nadam": lambda optimizer: (3 + 4 + 5 + 6, 2),
    "Adagrad": lambda optimizer: (2 + 5, 1),  # a += g²; w −= rate·g / √(a+ε)
    # a = ρ·a + (1−ρ)·g²; d = −√(s+ε)·g / √(a+ε); s = ρ·s + (1−ρ)·d²; w += rate·d
    "Adadelta": lambda optimizer: (4 + 7 + 4 + 2, 2),
    "Lion": lambda optimizer: (6 + 3, 1),  # w −= rate·sign(β₁·m + (1−β₁)·g); m = β₂·m + (1−β₂)·g
}


def _rule(optimizer: Any) -> tuple[int, int]:
    """Operations per value, and slots. Of an optimizer that is not known: four operations for each slot that it keeps,
    and two for the update."""
    inner = getattr(optimizer, "inner_optimizer", None)
    if inner is not None:  # loss scaling: divide the gradient, and see whether it is finite
        flops, slots = _rule(inner)
        return flops + 2, slots
    cls = type(optimizer)
    if cls.__module__.startswith("keras.") and cls.__name__ in _RULES:
        flops, slots = _RULES[cls.__name__](optimizer)
    else:
        slots = _kept(optimizer)
        flops = 2 + 4 * slots
    flops += 3 * bool(optimizer.weight_decay)  # w − w·decay·rate
    return (flops + 3, slots + 1) if optimizer.use_ema else (flops, slots)


def _kept(optimizer: Any) -> int:
    """How many values a built optimizer keeps per trained value, rounded."""
    trained = sum(math.prod(variable.shape) for variable in getattr(optimizer, "_trainable_variables", ()))
    kept = sum(math.prod(variable.shape) for variable in optimizer.variables)
    return round(kept / trained) if trained else 0


def update_flops(optimizer: Any, size: int) -> int:
    """Operations to update `size` values of a variable."""
    return size * _rule(optimizer)[0] if optimizer is not None else 0


def update_bytes(optimizer: Any, size: int, dtype: str) -> int:
    """Bytes that it moves: the gradient is read, the variable and its slots are read and written."""
    return size * item_bytes(dtype) * (3 + 2 * _rule(optimizer)[1]) if optimizer is not None else 0


_WHOLE = (
    "momentum",
    "weight_decay",
    "clipnorm",
    "global_clipnorm",
    "clipvalue",
    "use_ema",
    "gradient_accumulation_steps",
)


def updates_rows(optimizer: Any) -> bool:
    """Whether it updates only those rows of a table that have a gradient: Keras's plain SGD does. All others look at
    the whole table."""
    cls = type(optimizer)
    plain = cls.__module__.startswith("keras.") and cls.__name__ == "SGD"
    return plain and not any(getattr(optimizer, name) for name in _WHOLE)
