"""The pruned model against the one it came from, as two files: what they compute, and how long that takes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tfopt.errors import TfoptError
from tfopt.records.base import Note
from tfopt.records.comparison import Drift
from tfopt.records.duel import ArmTiming, DuelResult
from tfopt.report.progress import ProgressCallback
from tfopt.workload.drift.drifting import drifting
from tfopt.workload.duel import Contestant, duel
from tfopt.workload.options import Options

__all__ = ["Against", "against"]

_BEFORE, _AFTER = "before", "after"
_TOLERANCE, _PROCESSES = 0.05, 12
# The metric is worth waiting for, and a program that hangs is not.
_METRIC_SECONDS, _HUNG_SECONDS, _MOST_SAMPLES = 600.0, 1500.0, 100_000


@dataclass(frozen=True)
class Against:
    """Everything found; None and empty where it was not looked for, or Ctrl-C (`interrupted`) came before."""

    drift: Drift | None
    latency: DuelResult | None = None
    timings: tuple[ArmTiming, ...] = ()
    notes: tuple[Note, ...] = ()
    interrupted: bool = False


def against(
    before: Path,
    after: Path,
    options: Options,
    *,
    latency_seconds: float | None,
    threads: int | None,
    imports: tuple[str, ...],
    unsafe: bool,
    progress: ProgressCallback,
) -> Against:
    """Compare the two files in worker processes: outputs and metric on the data that `options` name, and the time of
    inference in at most `latency_seconds` (None: not at all). What fails is told in a note, for both files are there.
    """

    def contestant(label: str, path: Path) -> Contestant:
        return Contestant(label, str(path), options, "cpu", threads, imports, unsafe)

    sides = contestant(_BEFORE, before), contestant(_AFTER, after)
    found = drifting(
        sides[0],
        [sides[1]],
        samples=_MOST_SAMPLES,
        metric_seconds=_METRIC_SECONDS,
        deadline=time.monotonic() + _HUNG_SECONDS,
        progress=progress,
    )
    drift = found.drifts.get(_AFTER)
    notes = tuple(_remarks(found.refusal, found.drifts))
    if found.interrupted or latency_seconds is None:
        return Against(drift, notes=notes, interrupted=found.interrupted)
    try:
        outcome = duel(
            sides[0],
            [sides[1]],
            tolerance=_TOLERANCE,
            max_seconds=latency_seconds,
            max_processes=_PROCESSES,
            seed=options.seed,
            progress=progress,
        )
    except TfoptError as error:
        return Against(drift, notes=(*notes, Note(message=f"the time was not measured: {error.message}")))
    told = tuple(note for note in outcome.notes if note not in notes)
    return Against(drift, outcome.results[0], outcome.timings, (*notes, *told), outcome.interrupted)


def _remarks(refusal: TfoptError | None, drifts: dict[str, Drift]) -> Iterator[Note]:
    if refusal is not None:
        yield Note(message=f"the result was not compared: {refusal.message}", hint=refusal.hint)
    for drift in drifts.values():
        yield from drift.notes
