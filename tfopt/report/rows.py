"""Ops as ranked rows: by op, by type, by phase; what is cut off is summed into an exact rest."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from msgspec.structs import replace

from tfopt.records.profile import LayerRow, OpCharge, OpRow, Phase, PhaseRow, ProfileRecord
from tfopt.trace.scopes import BRACKETED

__all__ = [
    "OpLine",
    "Ops",
    "Rest",
    "TypeLine",
    "Types",
    "idle",
    "inside",
    "phase_groups",
    "phase_rows",
    "rank_ops",
    "rank_types",
    "root_of",
]


@dataclass(frozen=True)
class Rest:
    """What is not listed row by row: its name, milliseconds and share of the step."""

    label: str
    self_ms: float
    share: float


@dataclass(frozen=True)
class OpLine:
    """One op with its `layer` as people know it (the model's own name left out) and the running sum of shares."""

    op: OpRow
    layer: str
    cumulative: float


@dataclass(frozen=True)
class TypeLine:
    """All ops of one type: how many there are, how often they run per step, and their time."""

    type: str
    ops: int
    per_step: float
    self_ms: float
    share: float
    cumulative: float


@dataclass(frozen=True)
class Ops:
    """The largest ops, and the rest where there is one."""

    lines: tuple[OpLine, ...]
    rest: tuple[Rest, ...]


@dataclass(frozen=True)
class Types:
    """The largest op types, and the rest where there is one."""

    lines: tuple[TypeLine, ...]
    rest: tuple[Rest, ...]


def rank_ops(ops: Sequence[OpRow], layers: Sequence[LayerRow], top: int) -> Ops:
    """`ops` by self time, the largest `top` of them (0: all)."""
    ranked = sorted(ops, key=lambda op: (-op.self_ms, op.name))
    listed = ranked[: top or None]
    root = root_of(layers)
    sums = accumulate(op.share for op in listed)
    lines = (OpLine(op, inside(op.layer, root), total) for op, total in zip(listed, sums, strict=True))
    cut = ranked[len(listed) :]
    return Ops(tuple(lines), _rest(cut, "ops"))


def _rest(cut: Sequence[OpRow] | Sequence[TypeLine], noun: str) -> tuple[Rest, ...]:
    if not cut:
        return ()
    return (Rest(f"{len(cut):,} more {noun}", sum(row.self_ms for row in cut), sum(row.share for row in cut)),)


def root_of(layers: Sequence[LayerRow]) -> str:
    """The path of the model itself, '' where no row is its."""
    return next((row.path for row in layers if row.depth == 0 and row.path not in BRACKETED), "")


def inside(layer: str, root: str) -> str:
    """The path of `layer` as people know it: without the name of the model itself."""
    short = layer.removeprefix(f"{root}/") if root else layer
    return layer if short in BRACKETED else short


def rank_types(ops: Sequence[OpRow], top: int) -> Types:
    """`ops` grouped by type, the largest `top` types (0: all)."""
    groups: defaultdict[str, list[OpRow]] = defaultdict(list)
    for op in ops:
        groups[op.type].append(op)
    ranked = sorted(groups.items(), key=lambda item: (-sum(op.self_ms for op in item[1]), item[0]))
    sums = accumulate(sum(op.share for op in group) for _, group in ranked)
    lines = [_type_line(name, group, total) for (name, group), total in zip(ranked, sums, strict=True)]
    listed = lines[: top or None]
    return Types(tuple(listed), _rest(lines[len(listed) :], "types"))


def _type_line(name: str, group: Sequence[OpRow], cumulative: float) -> TypeLine:
    per_step = sum(op.per_step for op in group)
    return TypeLine(
        name, len(group), per_step, sum(op.self_ms for op in group), sum(op.share for op in group), cumulative
    )


def phase_rows(record: ProfileRecord) -> list[PhaseRow]:
    """The phases worth a line: those of the step's kind, and whatever else took time."""
    usual: set[Phase] = {"input", "forward", "idle"}
    if record.run.mode == "train":
        usual |= {"loss", "backward", "optimizer"}
    return [row for row in record.phases if row.phase in usual or row.share > 0]


def phase_groups(record: ProfileRecord, top: int) -> list[tuple[PhaseRow, Ops]]:
    """Each phase in which ops ran, largest first, with its largest `top` ops (0: all)."""
    by_phase: defaultdict[Phase, list[OpRow]] = defaultdict(list)
    for op in record.ops:
        for part in op.placed:
            by_phase[part.phase].append(_part(op, part))
    largest_first = sorted(record.phases, key=lambda row: -row.share)
    return [(row, rank_ops(by_phase[row.phase], record.layers, top)) for row in largest_first if by_phase[row.phase]]


def _part(op: OpRow, part: OpCharge) -> OpRow:
    """The part of an op that belongs to one layer and phase, as an op."""
    times = {name: getattr(op, name) * part.fraction for name in ("self_ms", "busy_ms", "share")}
    return replace(op, layer=part.layer, phase=part.phase, charges=(), **times)


def idle(record: ProfileRecord) -> Rest:
    """The part of the step in which no op ran."""
    return Rest("(idle)", sum(row.ms for row in record.phases if row.phase == "idle"), record.coverage.idle)
