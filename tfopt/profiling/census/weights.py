"""Facts that the weights tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from tfopt.errors import InputError
from tfopt.profiling.census.subject import Found, Subject, numbers

__all__ = ["dtypes", "half_share", "params", "sparsity", "trainable_params"]

_HALF = ("float16", "bfloat16")


def params(subject: Subject) -> Found:
    """The numbers in all weights."""
    return _sum(subject, lambda variables: sum(map(numbers, variables)))


def trainable_params(subject: Subject) -> Found:
    """The numbers in trainable weights."""
    return _sum(subject, lambda variables: sum(numbers(variable) for variable in variables if variable.trainable))


def sparsity(subject: Subject) -> Found:
    """The share of exact zeros among kernels: biases and statistics begin at zero and are none."""
    return _share(subject, _kernel, lambda kernel: numbers(kernel) - int(np.count_nonzero(kernel.numpy())))


def half_share(subject: Subject) -> Found:
    """The share of floating-point weights in 16 bits."""
    return _share(subject, _floating, lambda weight: numbers(weight) * (dtype_of(weight) in _HALF))


def dtypes(subject: Subject) -> dict[str, int]:
    """The numbers in weights, by dtype."""
    census: Counter[str] = Counter()
    for variables in subject.variables.values():
        for variable in variables:
            census[dtype_of(variable)] += numbers(variable)
    return dict(census)


def dtype_of(variable: Any) -> str:
    """The dtype's name, of a Keras variable or one of TensorFlow."""
    return str(getattr(variable.dtype, "name", variable.dtype))


def _floating(variable: Any) -> bool:
    return "float" in dtype_of(variable)


def _kernel(variable: Any) -> bool:
    return _floating(variable) and len(variable.shape) > 1


def _sum(subject: Subject, count: Callable[[Iterable[Any]], int]) -> Found:
    layers = {path: count(variables) for path, variables in subject.variables.items()}
    return Found(sum(layers.values()), {path: value for path, value in layers.items() if value})


def _share(subject: Subject, among: Callable[[Any], bool], count: Callable[[Any], int]) -> Found:
    """The share that is counted `among` weights. InputError where there are none: a share of nothing is no number."""
    counted: dict[str, tuple[int, int]] = {}
    for path, variables in subject.variables.items():
        chosen = [variable for variable in variables if among(variable)]
        if size := sum(map(numbers, chosen)):
            counted[path] = sum(map(count, chosen)), size
    if not counted:
        raise InputError("there are no such weights", "leave its limit out for this model")
    totals = [sum(column) for column in zip(*counted.values(), strict=True)]
    return Found(totals[0] / totals[1], {path: part / size for path, (part, size) in counted.items()})
