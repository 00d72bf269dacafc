"""The difference of two foreign traces, made from their records alone. Every table adds up to the change of op time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import fsum
from typing import NamedTuple

from tfopt.records.base import Note
from tfopt.records.difference import Change
from tfopt.records.trace import TraceOpRow, TraceRecord
from tfopt.records.trace_difference import NameChange, TraceDifferenceRecord, TraceSide
from tfopt.report.circumstances import NO_BENCHMARK, SAME_RECORDING
from tfopt.report.matching import pairs, presence

__all__ = ["diff_traces"]


class _Part(NamedTuple):
    name: str
    occurrences: int
    time_ms: float


def diff_traces(record: TraceRecord, against: TraceRecord) -> TraceDifferenceRecord:
    """How `record` differs from the baseline `against`: per step where both mark steps, else over the whole traces."""
    before, after = against, record
    stepped = bool(before.steps and after.steps)
    lengths = (before.steps.count, after.steps.count) if before.steps and after.steps else (1, 1)

    def table(parts: Callable[[TraceRecord], Iterator[_Part]]) -> tuple[NameChange, ...]:
        rows = (
            _row(name, first, second, lengths)
            for name, first, second in pairs(parts(before), parts(after), lambda part: part.name)
        )
        return tuple(sorted(rows, key=lambda row: -abs(row.time.change_ms)))

    return TraceDifferenceRecord(
        before=_side(before),
        after=_side(after),
        same_recording=before == after,
        per="step" if stepped else "trace",
        op_time=Change.between(before.op_ms / lengths[0], after.op_ms / lengths[1]),
        kernels=table(lambda trace: (_Part(row.name, row.occurrences, row.time_ms) for row in trace.kernels)),
        ops=table(_by(lambda op: op.name)),
        types=table(_by(lambda op: op.type)),
        phases=table(_by(lambda op: op.phase)),
        scopes=table(_by(lambda op: op.scope or "(no scope)")),
        notes=tuple(_remarks(before, after, stepped)),
    )


def _side(trace: TraceRecord) -> TraceSide:
    return TraceSide(
        path=trace.source.path,
        where=trace.where,
        devices=len(trace.devices),
        steps=trace.steps.count if trace.steps else None,
        span_ms=trace.span_ms,
        op_ms=trace.op_ms,
        idle_share=trace.idle_share,
    )


def _by(name: Callable[[TraceOpRow], str]) -> Callable[[TraceRecord], Iterator[_Part]]:
    """The ops of a trace under `name`, then the time that no op claims."""

    def parts(trace: TraceRecord) -> Iterator[_Part]:
        yield from (_Part(name(op), op.occurrences, op.time_ms) for op in trace.ops)
        yield from (_Part(f"({row.what})", row.occurrences, row.time_ms) for row in trace.unnamed)

    return parts


def _row(name: str, before: list[_Part], after: list[_Part], lengths: tuple[int, int]) -> NameChange:
    times = [fsum(part.time_ms for part in side) for side in (before, after)]
    often = [sum(part.occurrences for part in side) for side in (before, after)]
    each = [time / number if number else 0.0 for time, number in zip(times, often, strict=True)]
    return NameChange(
        name=name,
        presence=presence(before, after),
        before_occurrences=often[0],
        after_occurrences=often[1],
        time=Change.between(times[0] / lengths[0], times[1] / lengths[1]),
        each_ratio=each[1] / each[0] if before and after and each[0] else None,
    )


def _remarks(before: TraceRecord, after: TraceRecord, stepped: bool) -> Iterator[Note]:
    if before == after:
        yield SAME_RECORDING
        return
    if before.where != after.where:
        yield Note(message=f"not like with like: {before.where} time against {after.where} time")
    if len(before.devices) != len(after.devices):
        yield Note(message=f"not like with like: {len(before.devices)} against {len(after.devices)} {after.where}s")
    if not stepped:
        yield Note(
            message="not both traces mark steps: times are those of the whole traces, which may hold more or less work",
            hint="compare the time of one occurrence, or of a step: record with step markers",
        )
    yield NO_BENCHMARK
