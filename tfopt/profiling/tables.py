"""From the timeline and the attribution of ops to the rows of a record. Pure arithmetic; every table adds up to 1."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

from tfopt.records.profile import Coverage, LayerRow, OpCharge, OpRow, Phase, PhaseRow, Source
from tfopt.trace.attribution import Attribution
from tfopt.trace.places import Charge
from tfopt.trace.recording import Op
from tfopt.trace.scopes import BACKWARD, IDLE, INPUT, LOSS, OPTIMIZER, UNATTRIBUTED
from tfopt.trace.timeline import Timeline

__all__ = ["TreeRow", "coverage", "layer_rows", "op_rows", "own_times", "phase_rows"]

_BRACKETED = {
    INPUT: "input pipeline",
    LOSS: "loss",
    BACKWARD: "all layers",
    OPTIMIZER: "optimizer",
    UNATTRIBUTED: "no layer found",
    IDLE: "no op running",
}


@dataclass(frozen=True)
class TreeRow:
    """A layer's place in the table: pre-order, so that a layer's descendants follow it with a greater depth."""

    path: str
    type: str
    depth: int
    calls: int


@dataclass
class _Cell:
    by_phase: dict[str, float]
    inferred: float = 0.0


def _cells(timeline: Timeline, attributions: Sequence[Attribution]) -> dict[str, _Cell]:
    """Share of the step per layer (or bracketed row) and phase."""
    cells: dict[str, _Cell] = {}
    for wall, attribution in zip(timeline.wall, attributions, strict=True):
        share = float(wall) / timeline.total
        for charge in attribution.charges:
            cell = cells.setdefault(charge.place.layer or UNATTRIBUTED, _Cell(defaultdict(float)))
            cell.by_phase[charge.place.phase] += share * charge.fraction
            cell.inferred += share * charge.fraction if attribution.source == "inferred" else 0.0
    cells[IDLE] = _Cell({"idle": timeline.idle / timeline.total})
    return cells


def phase_rows(timeline: Timeline, attributions: Sequence[Attribution], step_ms: float) -> tuple[PhaseRow, ...]:
    """The step's phases, in the order they run. Shares add up to 1."""
    shares: dict[str, float] = defaultdict(float)
    for cell in _cells(timeline, attributions).values():
        for phase, share in cell.by_phase.items():
            shares[phase] += share
    return tuple(PhaseRow(phase=phase, share=shares[phase], ms=shares[phase] * step_ms) for phase in get_args(Phase))


def own_times(timeline: Timeline, attributions: Sequence[Attribution], step_ms: float) -> dict[str, dict[str, float]]:
    """ms per step by phase of each layer and bracketed row, without what is inside it."""
    cells = _cells(timeline, attributions)
    return {path: {phase: share * step_ms for phase, share in cell.by_phase.items()} for path, cell in cells.items()}


def layer_rows(
    tree: Sequence[TreeRow], timeline: Timeline, attributions: Sequence[Attribution], step_ms: float
) -> tuple[LayerRow, ...]:
    """One row per layer, then the bracketed rows that have time. The shares of all rows add up to 1."""
    cells = _cells(timeline, attributions)
    listed = {row.path for row in tree}
    extra = [TreeRow(name, kind, 0, 0) for name, kind in _BRACKETED.items() if name in cells]
    rows = [*tree, *extra]
    unknown = set(cells) - listed - set(_BRACKETED)
    if unknown:
        raise ValueError(f"time was charged to layers that are not in the tree: {sorted(unknown)}")
    totals = [_total(rows, index, cells) for index in range(len(rows))]
    return tuple(_row(row, cells.get(row.path), total, step_ms) for row, total in zip(rows, totals, strict=True))


def _total(rows: Sequence[TreeRow], index: int, cells: Mapping[str, _Cell]) -> dict[str, float]:
    """Share per phase of a row with its descendants."""
    total: dict[str, float] = defaultdict(float)
    for offset, row in enumerate(rows[index:]):
        if offset and row.depth <= rows[index].depth:
            break
        for phase, share in cells.get(row.path, _Cell({})).by_phase.items():
            total[phase] += share
    return total


def _row(row: TreeRow, cell: _Cell | None, total: Mapping[str, float], step_ms: float) -> LayerRow:
    own = sum(cell.by_phase.values()) if cell else 0.0
    inferred = cell.inferred if cell else 0.0
    return LayerRow(
        path=row.path,
        type=row.type,
        depth=row.depth,
        calls=row.calls,
        forward_ms=(total.get("forward", 0.0) + total.get("loss", 0.0)) * step_ms,
        backward_ms=total.get("backward", 0.0) * step_ms,
        optimizer_ms=total.get("optimizer", 0.0) * step_ms,
        self_ms=own * step_ms,
        total_ms=sum(total.values()) * step_ms,
        share=own,
        total_share=sum(total.values()),
        source=_source(row.path, inferred),
        inferred_ms=inferred * step_ms,
    )


def _source(path: str, inferred: float) -> Source:
    if path in (UNATTRIBUTED, IDLE):
        return "none"
    return "inferred" if inferred > 0 else "own"


def op_rows(
    ops: Sequence[Op], timeline: Timeline, attributions: Sequence[Attribution], steps: int, step_ms: float
) -> tuple[OpRow, ...]:
    """Every op that ran, by its share of the step. Shares and the idle share together add up to 1."""
    rows = []
    for index in (-timeline.wall).argsort(kind="stable"):
        attribution = attributions[index]
        share = float(timeline.wall[index]) / timeline.total
        if share <= 0 and timeline.count[index] == 0:
            continue
        charges = tuple(_charge(charge) for charge in attribution.charges)
        rows.append(
            OpRow(
                type=attribution.type,
                name=attribution.name,
                layer=charges[0].layer,
                phase=charges[0].phase,
                per_step=float(timeline.count[index]) / steps,
                self_ms=share * step_ms,
                busy_ms=float(timeline.busy[index]) / timeline.total * step_ms,
                share=share,
                source=attribution.source,
                members=attribution.members,
                charges=charges if len(charges) > 1 else (),
                instruction=ops[index].instruction,
            )
        )
    return tuple(rows)


def _charge(charge: Charge) -> OpCharge:
    return OpCharge(layer=charge.place.layer or UNATTRIBUTED, phase=charge.place.phase, fraction=charge.fraction)


def coverage(timeline: Timeline, attributions: Sequence[Attribution]) -> Coverage:
    """How much of the step could be placed, and how."""
    shares: dict[str, float] = defaultdict(float)
    for wall, attribution in zip(timeline.wall, attributions, strict=True):
        for charge in attribution.charges:
            kind = attribution.source if charge.place.layer is not None else "none"
            shares[kind] += float(wall) / timeline.total * charge.fraction
    waiting = sum(
        float(wall) for wall, attribution in zip(timeline.wall, attributions, strict=True) if _waits(attribution)
    )
    idle, waited = timeline.idle / timeline.total, waiting / timeline.total
    busy = 1.0 - idle - waited
    return Coverage(
        own=shares["own"],
        inferred=shares["inferred"],
        unattributed=shares["none"],
        idle=idle,
        attributed=(shares["own"] + shares["inferred"] - waited) / busy if busy > 0 else 0.0,
        executor=float(timeline.executor.sum()) / timeline.total,
    )


def _waits(attribution: Attribution) -> bool:
    """Waiting for data is placed, but it is no op that found its layer."""
    return attribution.charges[0].place.layer == INPUT
