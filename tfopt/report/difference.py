"""The difference of two recorded runs, made from their records alone. Every table adds up to the step's change."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import fsum
from operator import attrgetter
from typing import get_args

from msgspec.structs import replace

from tfopt.records.difference import (
    Change,
    DifferenceRecord,
    LayerChange,
    Match,
    MatchedShare,
    OpChange,
    PhaseChange,
    Side,
    TypeChange,
)
from tfopt.records.profile import OpRow, ProfileRecord
from tfopt.report.circumstances import circumstances, remarks
from tfopt.report.matching import OpPair, pair_ops, pairs, presence
from tfopt.report.rows import idle, root_of
from tfopt.trace.scopes import BRACKETED

__all__ = ["diff_runs"]


def diff_runs(record: ProfileRecord, against: ProfileRecord, run: str = "", baseline: str = "") -> DifferenceRecord:
    """How `record` differs from the baseline `against`: changes are record − against, in ms per step.

    `run` and `baseline` are what the two are called (default: the run folders that they were recorded in).
    """
    before, after = _called(against, root_of(record.layers)), record
    differing = circumstances(before, after)
    layers = _layers(before, after)
    ops = list(pair_ops(_step_ops(before), _step_ops(after)))
    first, second = before.step, after.step
    return DifferenceRecord(
        before=_side(against, baseline),
        after=_side(record, run),
        same_recording=record == against,
        step=Change.between(first.median_ms, second.median_ms),
        per_example=Change.between(_per_example(before), _per_example(after)),
        intervals="overlap" if first.low_ms <= second.high_ms and second.low_ms <= first.high_ms else "apart",
        circumstances=differing,
        phases=_phases(before, after),
        layers=layers,
        types=_types(before, after),
        ops=tuple(sorted(map(_op, ops), key=lambda row: -abs(row.time.change_ms))),
        matched=_matched(ops),
        notes=tuple(remarks(before, after, differing, layers)),
    )


def _side(record: ProfileRecord, name: str) -> Side:
    return Side(
        run=name or record.trace.run_dir or record.model.path,
        model=root_of(record.layers),
        started_at=record.run.started_at,
        batch_size=record.run.batch_size,
        median_ms=record.step.median_ms,
        low_ms=record.step.low_ms,
        high_ms=record.step.high_ms,
    )


def _per_example(record: ProfileRecord) -> float:
    return record.step.median_ms / max(1, record.run.batch_size)


def _sums(before: Iterable[object], after: Iterable[object], field: str) -> Change:
    value = attrgetter(field)
    return Change.between(fsum(map(value, before)), fsum(map(value, after)))


def _called(record: ProfileRecord, root: str) -> ProfileRecord:
    """`record` with its model called `root`: the two models are each other's, whatever they are called."""
    own = root_of(record.layers)
    if own in (root, "") or not root:
        return record

    def path(layer: str) -> str:
        return root + layer[len(own) :] if layer == own or layer.startswith(f"{own}/") else layer

    return replace(
        record,
        layers=tuple(replace(row, path=path(row.path)) for row in record.layers),
        ops=tuple(replace(op, layer=path(op.layer)) for op in record.ops),
    )


def _phases(before: ProfileRecord, after: ProfileRecord) -> tuple[PhaseChange, ...]:
    both = pairs(before.phases, after.phases, attrgetter("phase"))
    return tuple(PhaseChange(phase=phase, time=_sums(first, second, "ms")) for phase, first, second in both)


def _layers(before: ProfileRecord, after: ProfileRecord) -> tuple[LayerChange, ...]:
    rows = (
        LayerChange(
            path=path,
            before_type=first[0].type if first else None,
            after_type=second[0].type if second else None,
            presence="both" if path in BRACKETED else presence(first, second),
            own=_sums(first, second, "self_ms"),
            total=_sums(first, second, "total_ms"),
        )
        for path, first, second in pairs(before.layers, after.layers, attrgetter("path"))
    )
    return tuple(sorted(rows, key=lambda row: -abs(row.own.change_ms)))


def _step_ops(record: ProfileRecord) -> tuple[OpRow, ...]:
    """All ops and, like one of them, the time in which none ran: together the step."""
    rest = idle(record)
    nothing = OpRow(
        type=rest.label,
        name=rest.label,
        layer=rest.label,
        phase="idle",
        per_step=0.0,
        self_ms=rest.self_ms,
        busy_ms=rest.self_ms,
        share=rest.share,
        source="none",
    )
    return (*record.ops, nothing)


def _types(before: ProfileRecord, after: ProfileRecord) -> tuple[TypeChange, ...]:
    rows = (
        TypeChange(
            type=name,
            presence=presence(first, second),
            before_ops=len(first),
            after_ops=len(second),
            time=_sums(first, second, "self_ms"),
        )
        for name, first, second in pairs(_step_ops(before), _step_ops(after), attrgetter("type"))
    )
    return tuple(sorted(rows, key=lambda row: -abs(row.time.change_ms)))


def _op(pair: OpPair) -> OpChange:
    any_op = (*pair.after, *pair.before)[0]
    return OpChange(
        layer=any_op.layer,
        phase=any_op.phase,
        match=pair.match,
        presence=presence(pair.before, pair.after),
        name=any_op.name if pair.match in ("name", "none") else "",
        before_type=_main_type(pair.before),
        after_type=_main_type(pair.after),
        before_ops=len(pair.before),
        after_ops=len(pair.after),
        time=_sums(pair.before, pair.after, "self_ms"),
    )


def _main_type(ops: Sequence[OpRow]) -> str | None:
    """The type of the op that takes longest."""
    return max(ops, key=lambda op: op.self_ms).type if ops else None


def _matched(ops: Sequence[OpPair]) -> tuple[MatchedShare, ...]:
    before, after = (_shares(ops, side) for side in ("before", "after"))
    return tuple(
        MatchedShare(match=match, before_share=before[match], after_share=after[match]) for match in get_args(Match)
    )


def _shares(ops: Sequence[OpPair], side: str) -> dict[Match, float]:
    """How much of the op time on one side each way of matching found; all 0 where no op ran."""
    times: dict[Match, float] = dict.fromkeys(get_args(Match), 0.0)
    for pair in ops:
        times[pair.match] += fsum(op.self_ms for op in getattr(pair, side) if op.phase != "idle")
    total = sum(times.values())
    return {match: time / total if total else 0.0 for match, time in times.items()}
