"""What a reader of a comparison should know of how it was made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tfopt.errors import TfoptError
from tfopt.profiling.verdicts import FAILED
from tfopt.records.base import Note
from tfopt.records.comparison import Arm, ComparisonRun
from tfopt.report import units

__all__ = ["comparison_notes"]

# Twice what loading first was measured to cost (docs/duel.md, "Limits"): a tolerance below this may show it.
_BIAS = 0.03


def comparison_notes(run: ComparisonRun, arms: Sequence[Arm], failure: TfoptError | None) -> Iterator[Note]:
    """Notes on the whole; `failure` is why measuring ended early."""
    if run.interrupted:
        yield Note(message="interrupted: this is what had been measured until then")
    if failure is not None:
        yield Note(message=f"measuring ended early: {failure.message}", hint=failure.hint)
    if run.tolerance < _BIAS:
        yield Note(
            message=f"a tolerance of {units.percent(run.tolerance)} is near a bias of the duel itself: of equal models "
            "the one that is loaded first, the baseline, took up to 1.6 % more CPU time",
            hint="believe no verdict about so little that does not hold with the two exchanged",
        )
    judged = [(arm.label, arm.result) for arm in arms if arm.result is not None and arm.result.verdict not in FAILED]
    unranked = [label for label, result in judged if result.clock != (run.clock or "wall")]
    if unranked:
        yield Note(message=f"no rank for {', '.join(unranked)}: wall time could not tell, and ranks are by one clock")
    for arm in arms:
        if arm.clocks_disagree and arm.result is not None and arm.result.wall and arm.result.cpu:
            yield Note(
                message=f"the clocks disagree about {arm.label}: {arm.result.wall.ratio:.2f} × the wall time and "
                f"{arm.result.cpu.ratio:.2f} × the CPU time of the baseline",
                hint="wall time is what one waits for; CPU time is what it costs on a shared machine",
            )
