"""Rows of layers and ops, from a few numbers."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from tfopt.profiling.roofline import with_rates
from tfopt.records.machine import Machine
from tfopt.records.profile import (
    LayerRow,
    OpCharge,
    OpRow,
    Phase,
    Source,
)

# A leaf: (path, class, forward, backward, optimizer, inferred part of its own time)
Leaf = tuple[str, str, float, float, float, float]

# A ridge of 10 operations per byte in float32, of 20 in bfloat16.
MACHINE = Machine(
    device="CPU",
    cpu="Example",
    threads=2,
    peak_gflops={"float32": 100.0, "bfloat16": 200.0},
    bandwidth_gb_per_s=10.0,
    measured_at="2026-11-20T09:31:07+00:00",
    tensorflow="2.21.0",
)

# Made-up rates by type: operations per second (10⁹), operations per byte.
RATES = {"Conv2D": (62.0, 40.0), "BatchNormalization": (3.1, 0.8), "DepthwiseConv2D": (0.62, 4.0)}


def layer_rows(root: str, containers: dict[str, str], leaves: Sequence[Leaf], step: float) -> list[LayerRow]:
    """Rows of a tree: `containers` maps inner paths to classes, times of `leaves` are summed upwards."""
    times: dict[str, list[float]] = {path: [0.0, 0.0, 0.0] for path in containers}
    for path, _, *parts, _ in leaves:
        ancestors = [path[:at] for at, char in enumerate(path) if char == "/"]
        for place in (*ancestors, path):
            known = times.setdefault(place, [0.0, 0.0, 0.0])
            for at, part in enumerate(parts):
                known[at] += part
    own = {path: (kind, sum(parts), inferred) for path, kind, *parts, inferred in leaves}
    rows = []
    for path in sorted(times, key=lambda place: place.split("/")):
        kind, self_ms, inferred = own.get(path, (containers.get(path, "Functional"), 0.0, 0.0))
        rows.append(row(path, kind, times[path], self_ms, step, inferred=inferred))
    return rows


def row(
    path: str, kind: str, times: Sequence[float], self_ms: float, step: float, *, calls: int = 1, inferred: float = 0.0
) -> LayerRow:
    forward, backward, optimizer = times
    total = max(sum(times), self_ms)
    source: Source = "none" if path.startswith("(") else "inferred" if inferred else "own"
    return LayerRow(
        path=path,
        type=kind,
        depth=path.count("/"),
        calls=calls,
        forward_ms=forward,
        backward_ms=backward,
        optimizer_ms=optimizer,
        self_ms=self_ms,
        total_ms=total,
        share=self_ms / step,
        total_share=total / step,
        source=source,
        inferred_ms=inferred,
    )


def with_work(line: LayerRow) -> LayerRow:
    """A row with the work that its type and time stand for."""
    if line.type not in RATES or not line.self_ms:
        return line
    rate, intensity = RATES[line.type]
    flops = round(rate * line.self_ms * 1e6)
    moved = round(flops / intensity)
    return with_rates(msgspec.structs.replace(line, flops=flops, moved_bytes=moved), flops, moved, "float32", MACHINE)


def op(
    kind: str,
    name: str,
    layer: str,
    phase: Phase,
    self_ms: float,
    step: float,
    source: Source = "own",
    per: float = 1.0,
    parts: Sequence[float] = (),
) -> OpRow:
    """An op of one layer; `parts` splits its time between forward, backward and optimizer."""
    phases: tuple[Phase, ...] = ("forward", "backward", "optimizer")
    charges = (
        OpCharge(layer=layer, phase=name, fraction=part / self_ms) for name, part in zip(phases, parts, strict=False)
    )
    return OpRow(
        type=kind,
        name=name,
        layer=layer,
        phase=phase,
        per_step=per,
        self_ms=self_ms,
        busy_ms=self_ms * 1.7,
        share=self_ms / step,
        source=source,
        charges=tuple(charges),
    )
