"""From wishes to masks: scores by the criterion, and how much of each weight they take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tfopt.pruning.allocation.patterns import n_of_m, parse_n_of_m
from tfopt.pruning.allocation.schedules import sparsities
from tfopt.pruning.allocation.scopes import allocate
from tfopt.pruning.allocation.thresholds import threshold_masks
from tfopt.pruning.criteria import Scoring, scored
from tfopt.pruning.prunable import Masks, Prunable, Scores
from tfopt.pruning.wishes import Wishes
from tfopt.report.progress import ProgressCallback

__all__ = ["Removing"]

_SENSITIVITY = 0.5  # what scores are asked for where nothing else says how much goes


@dataclass
class Removing:
    """Makes masks for the weights as they are when asked. `dense` grows: why a weight was left dense, by its number."""

    model: Any
    weights: Sequence[Prunable]
    wishes: Wishes
    x: Any
    y: Any
    loss: Any
    batch_size: int
    seed: int
    progress: ProgressCallback
    note: Callable[[str], None]
    dense: dict[int, str] = field(default_factory=dict)

    @property
    def steps(self) -> tuple[float, ...]:
        """The sparsity after each step of the schedule; of a threshold and N:M, which have none, 1 step with 0."""
        wishes = self.wishes
        return sparsities(wishes.schedule, wishes.sparsity or 0.0, wishes.stages)

    def scores(self, sparsity: float) -> Scores:
        """What the criterion says, where `sparsity` is to be removed."""
        self.progress(f"scoring by {self.wishes.criterion}", None)
        scoring = Scoring(
            model=self.model,
            weights=self.weights,
            allocate=self._allocated,
            sparsity=sparsity,
            x=self.x,
            y=self.y,
            loss=self.loss,
            batch_size=self.batch_size,
            seed=self.seed,
            progress=self.progress,
            note=self.note,
        )
        return scored(self.wishes.criterion, scoring)

    def masks(self, sparsity: float) -> Masks:
        """What is kept; `sparsity` counts where that is what was asked for."""
        wishes = self.wishes
        if wishes.threshold is not None:
            return threshold_masks(self.weights, wishes.threshold, wishes.threshold_mode)
        if wishes.nm is not None:
            masks, self.dense = n_of_m(self.scores(_SENSITIVITY), self.weights, *parse_n_of_m(wishes.nm))
            return masks
        return self._allocated(self.scores(sparsity), sparsity)

    def _allocated(self, scores: Scores, sparsity: float) -> Masks:
        return allocate(scores, sparsity, self.wishes.rivals, self.weights)
