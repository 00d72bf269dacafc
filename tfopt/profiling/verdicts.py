"""What follows from a comparison, in sentences: the most important first."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from tfopt.profiling.ranking import span_of
from tfopt.records.base import Note
from tfopt.records.comparison import Arm, Drift
from tfopt.records.duel import Clock, DuelResult, Ending

__all__ = ["FAILED", "amount", "drift_notes", "verdict"]

_TIMES = 1.5  # from this ratio on a change is said in times, below it in percent
_WIDE = 0.5  # of the ratio: half an interval that is told by its ends
FAILED = ("CRASHED", "HUNG", "REFUSED", "NOT RUN")
_CAUSES = 2
_SHOWN = 3
# What would tell more of an arm that is not decided, by why there were no more processes.
_WOULD_TELL: dict[str, tuple[Ending | None, ...]] = {
    "a change too near the tolerance to call": ("decided",),
    "more --max-time or a quieter machine would tell": ("time", None),
    "more --processes or a quieter machine would tell": ("processes",),
    "measuring ended before it was": ("interrupted", "failed"),
}


def verdict(arms: Sequence[Arm], baseline: str, asked: Clock | None = None) -> tuple[str, ...]:
    """The answer, then each arm that differs, what could not be told, and what failed. `arms` are sorted by rank;
    `asked` is the clock that the user chose."""
    judged = [(arm, arm.result) for arm in arms if arm.result is not None]
    faster = [(arm, result) for arm, result in judged if result.verdict == "FASTER"]
    unsure = [(arm.label, result) for arm, result in judged if result.verdict == "INCONCLUSIVE"]
    return (
        _answer(faster, bool(unsure), judged, baseline),
        *(f"{arm.label} is {amount(result)}{_why(arm)}" for arm, result in judged if _told(arm, result, faster)),
        *_same(judged, baseline, asked),
        *_unknown(unsure),
        *(
            f"{arm.label}: {result.verdict.lower()}, {result.reason}"
            for arm, result in judged
            if result.verdict in FAILED
        ),
    )


def _answer(
    faster: Sequence[tuple[Arm, DuelResult]],
    unsure: bool,
    judged: Sequence[tuple[Arm, DuelResult]],
    baseline: str,
) -> str:
    measured = "of what was measured, " if any(result.verdict in FAILED for _, result in judged) else ""
    first = [pair for pair in faster if pair[0].rank == faster[0][0].rank]
    if len(first) == 1:
        return f"{first[0][0].label} is {amount(first[0][1])} than {baseline}"
    if first and first[0][0].rank is None:
        return f"{_listed([arm.label for arm, _ in first])} take less CPU time than {baseline}"
    if first:
        return f"{measured}{_listed([arm.label for arm, _ in first])} are fastest and not told apart"
    if all(result.verdict in FAILED for _, result in judged):
        return f"nothing could be compared with {baseline}"
    return f"{measured}nothing is {'surely ' if unsure else ''}faster here than {baseline}"


def _told(arm: Arm, result: DuelResult, faster: Sequence[tuple[Arm, DuelResult]]) -> bool:
    """Whether an arm gets a sentence of its own: not if it is the answer."""
    alone = len([one for one, _ in faster if one.rank == faster[0][0].rank]) == 1
    answer = alone and arm is faster[0][0]
    return result.verdict == "SLOWER" or (result.verdict == "FASTER" and not answer)


def _why(arm: Arm) -> str:
    slower = arm.result is not None and arm.result.verdict == "SLOWER"
    return f" here: {'; '.join(cause.message for cause in arm.causes[:_CAUSES])}" if slower and arm.causes else ""


def _same(judged: Sequence[tuple[Arm, DuelResult]], baseline: str, asked: Clock | None) -> Iterator[str]:
    """By wall time; what only CPU time could tell is not said to take as long."""
    for clock, as_long in (("wall", "as long"), ("cpu", "as much CPU time")):
        same = [(arm.label, result) for arm, result in judged if result.verdict == "SAME" and result.clock == clock]
        if same:
            verb = "takes" if len(same) == 1 else "take"
            within = f"within {same[0][1].tolerance * 100:.3g} %"
            but = "; wall time could not tell" if clock == "cpu" and asked is None else ""
            yield f"{_listed([label for label, _ in same])} {verb} {as_long} as {baseline}, {within}{but}"


def _unknown(unsure: Sequence[tuple[str, DuelResult]]) -> Iterator[str]:
    """What would tell, by why there was no more measuring."""
    for what, endings in _WOULD_TELL.items():
        labels = [label for label, result in unsure if result.ended in endings]
        if labels:
            yield f"not decided: {_listed(labels)}; {what}"


def amount(result: DuelResult) -> str:
    """How much faster or slower, with half the width of the interval: `7.5 ± 0.3 × slower`, `18 ± 2 % faster`.

    A slower arm's percentage is what it takes more than the baseline, a faster one's what it takes less. An interval of
    ratios that is wide lies unevenly about the estimate: then it is told by its ends, `3.9 to 56 × slower`.
    """
    span = span_of(result.wall if result.clock == "wall" else result.cpu, result.early)
    if span is None:
        return "not measured"
    word = "slower" if span.ratio > 1 else "faster"
    by = " by CPU time" if result.clock == "cpu" else ""
    ratio, low, high = span.ratio, span.low, span.high
    if ratio >= _TIMES or ratio <= 1 / _TIMES:
        if ratio < 1:
            ratio, low, high = 1 / ratio, 1 / high, 1 / low
        half = (high - low) / 2
        times = (
            _about(ratio, half)
            if half < ratio * _WIDE
            else " to ".join(f"{end:.{int(end < 10)}f}" for end in (low, high))
        )
        return f"{times} × {word}{by}"
    half = (high - low) / 2
    return f"{_about(abs(ratio - 1) * 100, half * 100)} % {word}{by}"


def _about(value: float, half: float) -> str:
    """`value ± half`, both to the first digit of `half`, or the second where that is a 1."""
    if not half or not math.isfinite(half):
        return f"{value:.2g}"
    exponent = math.floor(math.log10(half))
    decimals = min(3, max(0, -exponent + (half < 2 * 10**exponent)))
    return f"{value:.{decimals}f} ± {half:.{decimals}f}"


def _listed(labels: Sequence[str]) -> str:
    shown = list(labels[:_SHOWN])
    more = len(labels) - len(shown)
    parts = [*shown, f"{more} more"] if more else shown
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def drift_notes(drifts: Sequence[Drift]) -> Iterator[Note]:
    """What a reader of the drift should know."""
    failed: dict[str, dict[str, None]] = {}  # an arm may have two drifts
    for drift in drifts:
        if drift.failure:
            failed.setdefault(drift.failure, {})[drift.label] = None
    for failure, labels in failed.items():
        does = "computes" if len(labels) == 1 else "compute"
        yield Note(message=f"what {_listed([*labels])} {does} was not compared: {failure}")
    for drift in drifts:
        yield from drift.notes
        if drift.skipped_steps:
            yield Note(
                message=f"{drift.label}: loss scaling skipped {drift.skipped_steps} of the first {drift.steps} steps; "
                f"without random layers its gradients are finite from a loss scale of {drift.loss_scale:g} down"
            )
        if drift.nonfinite_losses:
            yield Note(message=f"{drift.label}: {drift.nonfinite_losses} losses were NaN or infinite")
        if drift.random_ops:
            yield Note(
                message=f"{drift.label} draws random numbers that cannot be switched off "
                f"({', '.join(drift.random_ops)}): its drift is not of its arithmetic alone"
            )
    for drift in drifts:
        if drift.label == drift.reference and drift.gradient is not None and drift.gradient.relative_l2:
            yield Note(
                message=f"{drift.label} run twice differs from itself by {drift.gradient.relative_l2:.1e} in its "
                "gradients: threads add up in another order each time"
            )
