"""Groups of weights: who is a member, and the share of all paths that lead through any member."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from tfopt.errors import UsageError
from tfopt.pathways.sums import Sums, Weight
from tfopt.pathways.surrogate import Surrogate
from tfopt.records.influence import GroupShare
from tfopt.wording import listed

__all__ = ["Group", "group_share", "members"]

Group = str | Sequence[str] | Mapping[str, Any]
"""Patterns of layer or variable paths (`*` for anything), or by a variable's path an array of its shape, non-zero where
an element is a member."""


def members(weights: Sequence[Weight], name: str, group: Group) -> dict[int, np.ndarray]:
    """By a weight's number: where it is a member of a group.

    Raises:
        UsageError: nothing is, or a mask is for no weight or not of its shape.
    """
    if isinstance(group, Mapping):
        masks = dict(_masked(weights, name, path, mask) for path, mask in group.items())
        if not any(mask.any() for mask in masks.values()):
            raise UsageError(f"the group {name} has no member: its masks are zero everywhere", "mark members with 1")
        return masks
    patterns = [group] if isinstance(group, str) else list(group) if isinstance(group, Sequence) else []
    if not patterns or not all(isinstance(pattern, str) and pattern for pattern in patterns):
        raise UsageError(
            f"the group {name} is {group!r}", "give a pattern, a list of patterns, or masks by weights' paths"
        )
    chosen = {
        number: np.ones(tuple(weight.variable.shape), bool)
        for number, weight in enumerate(weights)
        if weight.role in ("weight", "unknown")
        and any(_matches(pattern, path) for pattern in patterns for path in (weight.path, weight.layer))
    }
    if not chosen:
        raise UsageError(
            f"the group {name} has no member: no weight or layer is called {' or '.join(patterns)}",
            f"* stands for anything; there are {listed(sorted({weight.layer for weight in weights}))}",
        )
    return chosen


def _masked(weights: Sequence[Weight], name: str, path: str, mask: Any) -> tuple[int, np.ndarray]:
    by_path = {weight.path: number for number, weight in enumerate(weights) if weight.role != "statistic"}
    if path not in by_path:
        raise UsageError(
            f"the group {name} names {path}, which is no weight of the model",
            f"its weights are {listed(list(by_path))}",
        )
    array = np.asarray(mask) != 0
    shape = tuple(weights[by_path[path]].variable.shape)
    if array.shape != shape:
        raise UsageError(
            f"the group {name} has a mask of shape {array.shape} for {path}", f"that weight's shape is {shape}"
        )
    return by_path[path], array


def _matches(pattern: str, path: str) -> bool:
    """The whole path, or its end from a `/` on, or a layer and all that is in it."""
    return any(fnmatchcase(path, each) for each in (pattern, f"*/{pattern}", f"{pattern}/*", f"*/{pattern}/*"))


def group_share(
    surrogate: Surrogate, inputs: Any, whole: Sums, name: str, masks: Mapping[int, np.ndarray]
) -> GroupShare:
    """1 − R(without the members) / R, in one more pass. `whole` has R, `masks` is what `members` gives."""
    without = surrogate.run(inputs, masks={number: ~mask for number, mask in masks.items()})
    # Where there are no paths, a certificate says so.
    left = without.total / whole.total * math.exp(without.log_scale - whole.log_scale) if whole.total else 1.0
    elements = sum(int(mask.sum()) for mask in masks.values())
    return GroupShare(name=name, share=float(1 - left), variables=len(masks), elements=elements)
