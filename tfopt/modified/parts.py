"""What a loss is a function of: weights, or W′ in their place, and factors, with the values that they start from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import keras
import tensorflow as tf

from tfopt.modified.parametrization import Modified, Parametrization

__all__ = ["Argument", "Part", "parts_of"]


@dataclass(frozen=True, eq=False)
class Argument:
    """A tensor that the loss depends on."""

    path: str
    of: Literal["weight", "modified weight", "factor"]
    start: Any


@dataclass(frozen=True, eq=False)
class Part:
    """A variable, and how its override is made of arguments; `rough` names the transforms that are left out of this,
    since the gradient through them is no derivative."""

    variable: Any
    arguments: tuple[Argument, ...]
    make: Callable[..., Any]
    rough: tuple[str, ...] = ()


def parts_of(model: Any, modified: Parametrization | None, dtype: str) -> list[Part]:
    """Every trainable variable of `model`, and the modified ones. Those modified by surrogates or steps are W′ itself:
    through them there is no derivative to compare with."""
    changed = {id(each.variable): each for each in modified.modified} if modified is not None else {}
    variables = {
        id(variable): variable
        for variable in (*model.trainable_variables, *(each.variable for each in changed.values()))
        if keras.backend.is_float_dtype(variable._dtype)
    }
    return [_part(variable, changed.get(key), dtype) for key, variable in variables.items()]


def _part(variable: Any, modified: Modified | None, dtype: str) -> Part:
    value = tf.cast(variable.value, dtype)
    if modified is None:
        return Part(variable, (Argument(variable.path, "weight", value),), lambda weight: weight)
    factors = [[tf.cast(factor.value, dtype) for factor in group] for group in modified.factors]
    if rough := modified.rough(value, factors):
        made = Argument(variable.path, "modified weight", modified.at(value, factors))
        return Part(variable, (made,), lambda weight: weight, rough)

    def make(weight: Any, *flat: Any) -> Any:
        return modified.at(weight, list(_grouped(modified, flat)))

    arguments = [
        Argument(f"{variable.path}: {each.name}", "factor", factor)
        for each, group in zip(modified.transforms, factors, strict=True)
        for factor in group
    ]
    return Part(variable, (Argument(variable.path, "weight", value), *arguments), make)


def _grouped(modified: Modified, flat: Sequence[Any]) -> Iterator[list[Any]]:
    rest = iter(flat)
    for group in modified.factors:
        yield [next(rest) for _ in group]
