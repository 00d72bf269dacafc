"""The record of a comparison, from what a duel and the drift workers found."""

from __future__ import annotations

from collections.abc import Sequence

from tfopt.profiling.arms import Entry, shown_as
from tfopt.profiling.comparison_notes import comparison_notes
from tfopt.profiling.explaining import causes_of, explaining
from tfopt.profiling.ranking import BASELINE, Span, break_even, clocks_disagree, rank, span_of
from tfopt.profiling.verdicts import FAILED, drift_notes, verdict
from tfopt.records.comparison import Arm, ComparisonRecord, ComparisonRun
from tfopt.records.duel import ArmTiming, Clock, DuelResult
from tfopt.workload.drift.drifting import Drifting
from tfopt.workload.duel import DuelOutcome

__all__ = ["compared"]


def compared(
    run: ComparisonRun, entries: Sequence[Entry], outcome: DuelOutcome, numbers: Sequence[Drifting]
) -> ComparisonRecord:
    """The record; `entries` has the baseline first, as the duel's timings."""
    baseline = entries[0].contestant.label
    results = (None, *outcome.results)
    spans = [BASELINE if result is None else _span(result, run.clock) for result in results]
    ranks = rank(spans, run.tolerance)
    found = [
        _arm(entry, timing, result, outcome.timings[0], place, numbers)
        for entry, timing, result, place in zip(entries, outcome.timings, results, ranks, strict=True)
    ]
    order = sorted(range(len(found)), key=lambda at: _order(ranks[at], spans[at]))
    arms = tuple(explaining(found[at], found[0]) for at in order)
    told = [
        result.resolvable
        for result in outcome.results
        if result.resolvable is not None and not result.early and result.verdict not in FAILED
    ]
    drifts = tuple(drift for group in numbers for drift in group.drifts.values())
    return ComparisonRecord(
        run=run,
        baseline=baseline,
        verdict=verdict(arms, baseline, run.clock),
        resolvable=min(told, default=None),
        arms=arms,
        drifts=drifts,
        notes=(*comparison_notes(run, arms, outcome.failure), *outcome.notes, *dict.fromkeys(drift_notes(drifts))),
    )


def _order(place: int | None, span: Span | None) -> tuple[bool, int, float]:
    return place is None, place or 0, span.ratio if span is not None else 0.0


def _span(result: DuelResult, asked: Clock | None) -> Span | None:
    """Where the ratio lies by the clock that ranks all arms; None where that could not tell, or the arm failed."""
    clock = asked or "wall"
    if result.clock != clock or result.verdict in FAILED:
        return None
    return span_of(result.wall if clock == "wall" else result.cpu, result.early)


def _arm(
    entry: Entry,
    timing: ArmTiming,
    result: DuelResult | None,
    baseline: ArmTiming,
    place: int | None,
    numbers: Sequence[Drifting],
) -> Arm:
    contestant, variant = entry.contestant, entry.variant
    wall = None if result is None or result.verdict in FAILED else span_of(result.wall, result.early)
    return Arm(
        label=contestant.label,
        model=shown_as(entry.source),
        variant=variant.name,
        program=variant.program,
        precision=contestant.options.precision,
        device=contestant.device,
        batch_size=contestant.options.batch_size,
        rank=place,
        timing=timing,
        result=result,
        break_even=None if result is None else break_even(baseline, timing, wall),
        clocks_disagree=result is not None and clocks_disagree(result),
        causes=causes_of(entry, numbers),
    )
