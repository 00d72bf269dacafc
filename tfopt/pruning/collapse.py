"""Whether a pruned model still connects its outputs with its inputs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfopt.errors import TfoptError
from tfopt.pathways.path_weights import log10_total, ones, path_sums
from tfopt.pathways.plan import Plan
from tfopt.pathways.rules.registry import role_of
from tfopt.pathways.sums import Sums
from tfopt.pruning.prunable import Masks, Prunable
from tfopt.records.base import Note

__all__ = ["THIN", "Collapse", "collapse"]

THIN = 0.01  # a layer that keeps less than this is warned about


@dataclass(frozen=True)
class Collapse:
    """Layers (by path) that lost all their weights, those that keep less than `THIN` of theirs, whether the last path
    from any input to any output was lost, and the logarithm to the base 10 of the sum of all paths; None where it is 0
    or not known."""

    empty: tuple[str, ...]
    thin: tuple[str, ...]
    no_path: bool
    path_total: float | None
    notes: tuple[Note, ...] = ()

    @property
    def collapsed(self) -> bool:
        """Whether the model is broken, rather than thin."""
        return bool(self.empty) or self.no_path


def collapse(model: Any, weights: Sequence[Prunable], masks: Masks, before: Masks | None = None) -> Collapse:
    """What is left of a model whose weights were masked. Where its paths cannot be summed, a note says why, and layers
    alone decide.

    Args:
        model: with the masks applied.
        weights: what was masked.
        masks: what was kept of them.
        before: which of their numbers were not zero before; default all. What was empty and what had no path then is
            no news, and has not collapsed.
    """
    before = [np.ones(each.shape, bool) for each in weights] if before is None else before
    left: dict[str, list[int]] = {}
    for weight, mask, there in zip(weights, masks, before, strict=True):
        if role_of(weight.layer, weight.variable) == "offset":  # without it a layer is not empty, with it alone it is
            continue
        kept, had, size = left.get(weight.layer_path, (0, 0, 0))
        now = int(np.sum(mask & (weight.values != 0)))
        left[weight.layer_path] = [kept + now, had + int(np.sum(there)), size + weight.size]
    total, notes = _total(model)
    lost = total is not None and total.total == 0
    had_paths = lost and _had_paths(model, weights, before)
    if lost and not had_paths:
        notes = (
            Note(message="no path leads from the inputs to the outputs, and none did before anything was removed"),
        )
    return Collapse(
        empty=tuple(path for path, (kept, had, _) in left.items() if had and not kept),
        thin=tuple(path for path, (kept, _, size) in left.items() if 0 < kept < THIN * size),
        no_path=had_paths,
        path_total=None if total is None else log10_total(total),
        notes=notes,
    )


def _had_paths(model: Any, weights: Sequence[Prunable], before: Masks) -> bool:
    """Whether there was a path where these numbers were not zero; what they were is of no account to that."""
    values = [weight.values.copy() for weight in weights]  # what Keras gives may be the variable's own memory
    try:
        for weight, value, there in zip(weights, values, before, strict=True):
            weight.variable.assign(np.where(there & (value == 0), np.ones_like(value), value))
        total, _ = _total(model)
    finally:
        for weight, value in zip(weights, values, strict=True):
            weight.variable.assign(value)
    return total is None or total.total != 0


def _total(model: Any) -> tuple[Sums | None, tuple[Note, ...]]:
    """The sum of all paths, or why it is not known."""
    try:
        _, sums, _ = path_sums(model, Plan(True, "sum", "exclude", "float64"), ones(model), weights=False)
    except TfoptError as error:
        return None, (Note(message=f"whether a path is left is not known: {error.message}", hint=error.hint),)
    if not math.isfinite(sums.total) or sums.total < 0:
        return None, (Note(message=f"whether a path is left is not known: all add up to {sums.total:g}"),)
    return sums, ()
