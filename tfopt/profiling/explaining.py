"""Why an arm of a comparison is slow: what its step consists of, and the baseline's does not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from tfopt.profiling.advice import causes
from tfopt.profiling.arms import Entry
from tfopt.records.advice import Advice, StepFacts
from tfopt.records.comparison import Arm
from tfopt.workload.drift.drifting import Drifting

__all__ = ["causes_of", "explaining"]


def causes_of(entry: Entry, numbers: Sequence[Drifting]) -> tuple[Advice, ...]:
    """Why this arm may be slow: from its own step where that was traced, else from that of its model's reference."""
    facts = next(_facts(entry, numbers), None)
    if facts is None:
        return ()
    return causes(
        facts,
        xla=entry.variant.program == "xla",
        eager=entry.variant.program == "eager",
        precision=entry.contestant.options.precision or "float32",
        device=facts.device,
    )


def _facts(entry: Entry, numbers: Sequence[Drifting]) -> Iterator[StepFacts]:
    label = entry.numbers.label
    yield from (group.facts[label] for group in numbers if label in group.facts)
    for group in numbers:
        own = group.drifts.get(label)
        if group.model == entry.contestant.model and own is not None and own.reference in group.facts:
            yield group.facts[own.reference]


def explaining(arm: Arm, baseline: Arm) -> Arm:
    """Without the causes that the baseline shares: they do not explain what it takes more."""

    def shared(one: Advice, other: Advice) -> bool:
        count, others = (next(iter(cause.evidence.items()), None) for cause in (one, other))  # it stands first
        same = one.evidence == other.evidence or (arm.model == baseline.model and count == others)
        return one.id == other.id and same

    own = tuple(cause for cause in arm.causes if not any(shared(cause, other) for other in baseline.causes))
    return arm if arm.label == baseline.label else replace(arm, causes=own)
