"""The record of a comparison, from what a duel and the drift workers found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tfopt.profiling.advice import causes
from tfopt.profiling.arms import Entry, shown_as
from tfopt.profiling.ranking import BASELINE, Span, break_even, clocks_disagree, rank, span_of
from tfopt.profiling.verdicts import drift_notes, verdict
from tfopt.records.advice import Advice, StepFacts
from tfopt.records.base import Note
from tfopt.records.comparison import Arm, ComparisonRecord, ComparisonRun
from tfopt.records.duel import ArmTiming, DuelResult
from tfopt.workload.drift.drifting import Drifting
from tfopt.workload.duel import DuelOutcome

__all__ = ["compared"]


def compared(
    run: ComparisonRun, entries: Sequence[Entry], outcome: DuelOutcome, numbers: Sequence[Drifting]
) -> ComparisonRecord:
    """The record; `entries` has the baseline first, as the duel's timings."""
    baseline = entries[0].contestant.label
    results = (None, *outcome.results)
    spans = [BASELINE if result is None else _span(result) for result in results]
    ranks = rank(spans, run.tolerance)
    found = [
        _arm(entry, timing, result, outcome.timings[0], place, numbers)
        for entry, timing, result, place in zip(entries, outcome.timings, results, ranks, strict=True)
    ]
    order = sorted(range(len(found)), key=lambda at: _order(ranks[at], spans[at]))
    arms = tuple(found[at] for at in order)
    full = [result.resolvable for result in outcome.results if result.resolvable is not None and not result.early]
    drifts = tuple(drift for group in numbers for drift in group.drifts.values())
    return ComparisonRecord(
        run=run,
        baseline=baseline,
        verdict=verdict(arms, baseline),
        resolvable=max(full, default=None),
        arms=arms,
        drifts=drifts,
        notes=(*_notes(run, arms), *drift_notes(drifts)),
    )


def _order(place: int | None, span: Span | None) -> tuple[bool, int, float]:
    return place is None, place or 0, span.ratio if span is not None else 0.0


def _span(result: DuelResult) -> Span | None:
    return span_of(result.wall if result.clock == "wall" else result.cpu, result.early)


def _arm(
    entry: Entry,
    timing: ArmTiming,
    result: DuelResult | None,
    baseline: ArmTiming,
    place: int | None,
    numbers: Sequence[Drifting],
) -> Arm:
    contestant, variant = entry.contestant, entry.variant
    wall = None if result is None else span_of(result.wall, result.early)
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
        causes=_causes(entry, numbers),
    )


def _causes(entry: Entry, numbers: Sequence[Drifting]) -> tuple[Advice, ...]:
    """Why this arm may be slow: from its own step where that was traced, else from its reference's."""
    for group in numbers:
        facts = group.facts.get(entry.numbers.label) or _facts_of_reference(entry, group)
        if facts is not None:
            return causes(
                facts,
                xla=entry.variant.program == "xla",
                eager=entry.variant.program == "eager",
                precision=entry.contestant.options.precision or "float32",
                device=facts.device,
            )
    return ()


def _facts_of_reference(entry: Entry, group: Drifting) -> StepFacts | None:
    own = group.drifts.get(entry.numbers.label)
    return None if own is None else group.facts.get(own.reference)


def _notes(run: ComparisonRun, arms: Sequence[Arm]) -> Iterator[Note]:
    if run.interrupted:
        yield Note(message="interrupted: this is what had been measured until then")
    for arm in arms:
        if arm.clocks_disagree and arm.result is not None and arm.result.wall and arm.result.cpu:
            yield Note(
                message=f"the clocks disagree about {arm.label}: {arm.result.wall.ratio:.2f} × the wall time and "
                f"{arm.result.cpu.ratio:.2f} × the CPU time of the baseline",
                hint="wall time is what one waits for; CPU time is what it costs on a shared machine",
            )
