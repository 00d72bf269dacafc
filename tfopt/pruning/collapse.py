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
from tfopt.pruning.prunable import Masks, Prunable
from tfopt.records.base import Note

__all__ = ["THIN", "Collapse", "collapse"]

THIN = 0.01  # a layer that keeps less than this is warned about


@dataclass(frozen=True)
class Collapse:
    """Layers (by path) without a weight left, those that keep less than `THIN` of theirs, whether no path is left from
    any input to any output, and the logarithm to the base 10 of the sum of all; None where it is 0 or not known."""

    empty: tuple[str, ...]
    thin: tuple[str, ...]
    no_path: bool
    path_total: float | None
    notes: tuple[Note, ...] = ()

    @property
    def collapsed(self) -> bool:
        """Whether the model is broken, rather than thin."""
        return bool(self.empty) or self.no_path


def collapse(model: Any, weights: Sequence[Prunable], masks: Masks) -> Collapse:
    """What is left of a model whose weights were masked. Where its paths cannot be summed, a note says why, and layers
    alone decide."""
    left: dict[str, list[int]] = {}
    for weight, mask in zip(weights, masks, strict=True):
        kept, size = left.setdefault(weight.layer_path, [0, 0])
        left[weight.layer_path] = [kept + int(np.sum(mask & (weight.values != 0))), size + weight.size]
    no_path, total, notes = _paths(model)
    return Collapse(
        empty=tuple(path for path, (kept, _) in left.items() if not kept),
        thin=tuple(path for path, (kept, size) in left.items() if 0 < kept < THIN * size),
        no_path=no_path,
        path_total=total,
        notes=notes,
    )


def _paths(model: Any) -> tuple[bool, float | None, tuple[Note, ...]]:
    try:
        inputs = ones(model)
        _, sums, _ = path_sums(model, Plan(True, "sum", "exclude", "float64"), inputs, weights=False)
    except TfoptError as error:
        return False, None, (Note(message=f"whether a path is left is not known: {error.message}", hint=error.hint),)
    if not math.isfinite(sums.total) or sums.total < 0:
        return False, None, (Note(message=f"whether a path is left is not known: all add up to {sums.total:g}"),)
    return sums.total == 0, log10_total(sums), ()
