"""Hold layers against the machine's roofs: S. Williams, A. Waterman, D. Patterson, "Roofline", CACM 52(4), 2009.

A layer that does F floating-point operations on B bytes takes at least F / peak and at least B / bandwidth, where the
peak is that of its dtype: no more than min(peak, F/B × bandwidth) operations per second are attainable. It is
compute-bound where the first is longer, memory-bound where the second is; where it takes far longer than both,
something that neither computes nor moves is what it takes its time for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from tfopt.records.cost import LayerCost
from tfopt.records.machine import Machine
from tfopt.records.profile import Bound, LayerRow, Phase

__all__ = ["OVERHEAD_BELOW", "Costs", "with_cost", "with_rates"]

OVERHEAD_BELOW = 0.1  # of its roof; docs/roofline.md says why


@dataclass(frozen=True)
class Costs:
    """What the layers of a step cost and compute in, by path, and what the machine can do."""

    layers: Mapping[str, LayerCost]
    dtypes: Mapping[str, str]
    machine: Machine | None


def with_cost(rows: Sequence[LayerRow], times: Mapping[str, Mapping[str, float]], costs: Costs) -> tuple[LayerRow, ...]:
    """`rows` with what their layers cost and how near they come to the roofs. `times`: ms by path and phase, its own.

    Amounts are those of the whole step. Rates are those of the phases in which the layer took time: in eager mode
    that is the forward pass; and what runs inside another layer's kernel is not in them.
    """
    return tuple(_with_cost(row, times.get(row.path, {}), costs) for row in rows)


def _with_cost(row: LayerRow, times: Mapping[str, float], costs: Costs) -> LayerRow:
    cost = costs.layers.get(row.path)
    if cost is None or cost.source == "none":
        return row
    row = msgspec.structs.replace(row, flops=cost.flops, moved_bytes=cost.moved_bytes)
    phases = [phase for phase in _PHASES if times.get(phase, 0.0) > 0]
    if not phases:
        return row
    flops = sum(getattr(cost, f"{phase}_flops") for phase in phases)
    moved = sum(getattr(cost, f"{phase}_bytes") for phase in phases)
    return with_rates(row, flops, moved, costs.dtypes[row.path], costs.machine)


_GUESSED = 0.5
_PHASES: tuple[Phase, ...] = ("forward", "backward", "optimizer")


def with_rates(row: LayerRow, flops: float, moved_bytes: float, dtype: str, machine: Machine | None) -> LayerRow:
    """`row` with the rates of this work in its time, and its place under the roofs.

    Without the latter where the peak of `dtype` is not known, and where most of the time is inferred: inside a fusion
    the bytes of a layer need not be moved, and its time is its part of the estimated work, not measured.
    """
    row = msgspec.structs.replace(
        row, gflops_per_s=flops / row.self_ms / 1e6, intensity=flops / moved_bytes if moved_bytes else None
    )
    guessed = row.inferred_ms > _GUESSED * row.self_ms
    if machine is None or guessed or (flops and dtype not in machine.peak_gflops):
        return row
    computing = flops / machine.peak_gflops[dtype] / 1e6 if flops else 0.0
    moving = moved_bytes / machine.bandwidth_gb_per_s / 1e6
    share = max(computing, moving) / row.self_ms
    bound: Bound = "compute" if computing > moving else "memory"
    return msgspec.structs.replace(row, roof_share=share, bound="overhead" if share < OVERHEAD_BELOW else bound)
