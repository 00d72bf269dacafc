"""The record of checked gradients: each against central differences of the loss, everything in float64.

Within schema version 1 fields may be added, never changed.
"""

from __future__ import annotations

from typing import Literal

from tfopt.records.base import Note, Record
from tfopt.records.gradients import GradientRun
from tfopt.records.profile import ModelInfo

__all__ = ["FAILING", "GRADCHECK_SCHEMA", "DirectionCheck", "GradcheckRecord", "Verdict"]

GRADCHECK_SCHEMA: Literal["tfopt.gradcheck/1"] = "tfopt.gradcheck/1"

Verdict = Literal["agrees", "rounding", "kink", "undecided", "no effect", "no gradient", "not finite", "disagrees"]
FAILING: tuple[Verdict, ...] = ("disagrees", "no gradient", "not finite")


class DirectionCheck(Record, frozen=True, kw_only=True):
    """One tensor, moved along directions in which it changes by as much as it is large.

    `of` says whether it is a weight (through its modification, if it has one), the `modified weight` W′ in its place,
    or a `factor`. `derivative` is the root mean square over directions of what the gradient says, null where there is
    no gradient, `difference` that of central differences, `error` the largest distance of the two by the larger of
    them, null where there is nothing to compare beyond rounding; all are null where not finite.

    Verdicts beside `agrees` and `disagrees`: `rounding`, the two differ by no more than the rounding of the loss makes
    differences; `kink`, they disagree here, where the loss has an edge, and agree closely beside; `undecided`,
    differences of ever smaller steps do not settle on a slope; `no effect`, no gradient and no difference;
    `no gradient`, but a difference.
    """

    path: str
    layer: str
    of: Literal["weight", "modified weight", "factor"]
    size: int
    derivative: float | None
    difference: float | None
    error: float | None
    verdict: Verdict


class GradcheckRecord(Record, frozen=True, kw_only=True):
    """All checks of one model. `loss` is that of the batch, null where it is not finite; `directions` per tensor."""

    schema: Literal["tfopt.gradcheck/1"] = GRADCHECK_SCHEMA
    model: ModelInfo
    run: GradientRun
    loss: float | None
    tolerance: float
    directions: int
    checks: tuple[DirectionCheck, ...]
    notes: tuple[Note, ...] = ()

    @property
    def undecided(self) -> tuple[DirectionCheck, ...]:
        """The checks of which differences could tell nothing."""
        return tuple(check for check in self.checks if check.verdict == "undecided")

    @property
    def failed(self) -> tuple[DirectionCheck, ...]:
        """The checks that the gradient did not pass."""
        return tuple(check for check in self.checks if check.verdict in FAILING)
