"""What a criterion is given and gives, and the registry of them.

Nothing here loads TensorFlow, so that what a criterion needs is known before anything runs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfopt.errors import RunFailed, UsageError
from tfopt.pruning.prunable import Masks, Prunable, Scores
from tfopt.report.progress import ProgressCallback, silent
from tfopt.wording import listed

__all__ = ["CRITERIA", "Criterion", "Scoring", "criterion", "scored"]

Score = Callable[["Scoring"], Scores]

COMPARABLE = ("global", "layer", "erk")
"""The scopes of scores that mean the same in every layer."""


@dataclass(frozen=True, eq=False)  # Keras variables are not hashable
class Scoring:
    """What is to be scored, and with what.

    `x`, `y` and `sample_weight` are as `keras.Model.fit` takes them, as arrays, or None. `loss` is as `compile`
    takes it; None: the model's own, else one that fits. `sparsity` is the share that this step removes, and
    `allocate(scores, sparsity)` what would be kept: for criteria that remove in rounds. `note` is told whatever a
    reader of the scores must know.
    """

    model: Any
    weights: Sequence[Prunable]
    allocate: Callable[[Scores, float], Masks]
    sparsity: float
    x: Any = None
    y: Any = None
    sample_weight: Any = None
    loss: Any = None
    batch_size: int = 32
    seed: int = 0
    progress: ProgressCallback = silent
    note: Callable[[str], None] = lambda message: None


@dataclass(frozen=True)
class Criterion:
    """`score` gives one number per weight, of which the larger are kept; `scopes` are those in which these can be
    compared, the default first. An `at_initialization` score says little of weights that are trained."""

    name: str
    score: Score
    needs_data: bool
    needs_targets: bool
    scopes: tuple[str, ...]
    at_initialization: bool


CRITERIA: dict[str, Criterion] = {}


def criterion(
    name: str,
    *,
    needs_data: bool = False,
    needs_targets: bool = False,
    scopes: tuple[str, ...] = COMPARABLE,
    at_initialization: bool = False,
) -> Callable[[Score], Score]:
    """Register a function as a criterion. Targets are of samples: what needs them needs data."""

    def register(function: Score) -> Score:
        CRITERIA[name] = Criterion(
            name, function, needs_data or needs_targets, needs_targets, scopes, at_initialization
        )
        return function

    return register


def scored(name: str, scoring: Scoring) -> Scores:
    """The scores by one criterion: float64, of the weights' shapes. The model stays as it is, bit for bit.

    Raises:
        UsageError: there is no such criterion, or it needs samples or targets that are not there.
        InputError: samples do not fit the model.
        RunFailed: the model does not run, or scores are not finite.
    """
    if name not in CRITERIA:
        raise UsageError(f"there is no criterion called {name}", f"criteria are {', '.join(CRITERIA)}")
    chosen = CRITERIA[name]
    if chosen.needs_data and scoring.x is None:
        raise UsageError(f"the criterion {name} needs samples", "give --data, or choose magnitude")
    if chosen.needs_targets and scoring.y is None:
        raise UsageError(f"the criterion {name} needs targets: without them there is no loss", "give data with targets")
    scores = chosen.score(scoring)
    wrong = [each.path for each, found in zip(scoring.weights, scores, strict=True) if not np.isfinite(found).all()]
    if wrong:
        raise RunFailed(f"scores of {listed(wrong)} are not finite", "tfopt.health says where values are too large")
    return scores
