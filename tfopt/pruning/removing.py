"""From wishes to masks: scores by the criterion, and how much of each weight they take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tfopt.pruning.allocation.patterns import n_of_m, parse_n_of_m
from tfopt.pruning.allocation.schedules import sparsities
from tfopt.pruning.allocation.scopes import allocate
from tfopt.pruning.allocation.thresholds import threshold_masks
from tfopt.pruning.criteria import Scoring, scored
from tfopt.pruning.job import Job
from tfopt.pruning.prunable import Masks, Prunable, Scores

__all__ = ["Removing"]

_HALF = 0.5  # what scores are asked for where N:M says how much goes


@dataclass
class Removing:
    """Makes masks for the weights as they are when asked. `dense` grows: why a weight was left dense, by its number."""

    job: Job
    weights: Sequence[Prunable]
    dense: dict[int, str] = field(default_factory=dict)

    @property
    def steps(self) -> tuple[float, ...]:
        """The sparsity after each step of the schedule; of a threshold and N:M, which have none, 1 step with 0."""
        wishes = self.job.wishes
        return sparsities(wishes.schedule, wishes.sparsity or 0.0, wishes.stages)

    def scores(self, sparsity: float) -> Scores:
        """What the criterion says, where `sparsity` is to be removed."""
        job, batch = self.job, self.job.examples.scored
        x, y, sample_weight = (None, None, None) if batch is None else batch.arguments
        job.progress(f"scoring by {job.wishes.criterion}", None)
        scoring = Scoring(
            model=job.model,
            weights=self.weights,
            allocate=self._allocated,
            sparsity=sparsity,
            x=x,
            y=y,
            sample_weight=sample_weight,
            loss=job.options.loss,
            batch_size=job.examples.batch_size,
            seed=job.options.seed,
            progress=job.progress,
            note=job.note,
        )
        return scored(job.wishes.criterion, scoring)

    def masks(self, sparsity: float) -> Masks:
        """What is kept; `sparsity` counts where that is what was asked for."""
        wishes = self.job.wishes
        if wishes.threshold is not None:
            return threshold_masks(self.weights, wishes.threshold, wishes.threshold_mode)
        if wishes.nm is not None:
            masks, self.dense = n_of_m(self.scores(_HALF), self.weights, *parse_n_of_m(wishes.nm))
            return masks
        return self._allocated(self.scores(sparsity), sparsity)

    def _allocated(self, scores: Scores, sparsity: float) -> Masks:
        return allocate(scores, sparsity, self.job.wishes.rivals, self.weights)
