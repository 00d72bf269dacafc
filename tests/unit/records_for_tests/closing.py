"""A whole profile from its rows, closed the way a real one is: rows add up to the step exactly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from tfopt.records.base import Note
from tfopt.records.profile import (
    Coverage,
    InputInfo,
    LayerRow,
    ModelInfo,
    OpRow,
    Phase,
    PhaseRow,
    PrecisionInfo,
    ProfileRecord,
    RunInfo,
    StepInfo,
    TraceInfo,
)

from .rows import row

FOLDER = "runs/model-20261120-093107"

RUN = RunInfo(
    mode="train",
    device="CPU",
    precision="float32",
    xla=False,
    eager=False,
    batch_size=16,
    steps=40,
    trace_steps=5,
    seed=0,
    threads=2,
    clock="perf_counter_ns",
    cpu="Example CPU @ 2.00GHz",
    command="tfopt profile mobilenet.keras --batch-size 16",
    data="synthetic",
    inputs=(InputInfo(name="images", shape=(16, 96, 96, 3), dtype="float32", values="uniform in [0, 1)"),),
    step_source="tfopt",
    loss="sparse_categorical_crossentropy",
    optimizer="adam",
    started_at="2026-11-20T09:31:07+01:00",
    tfopt="0.1.0",
    python="3.11.7",
    tensorflow="2.21.0",
    keras="3.15.1",
)

STEP = StepInfo(
    median_ms=142.6,
    low_ms=140.9,
    high_ms=144.8,
    p95_ms=149.1,
    cpu_ms=251.3,
    samples=40,
    warmup_steps=5,
    compile_s=6.12,
    retraces=0,
    retrace_causes=(),
    examples_per_s=112.2,
    traced_ms=147.0,
    overhead=0.031,
    skipped_steps=0,
    last_loss=2.31,
    nonfinite_losses=0,
)


def record(
    model: ModelInfo,
    step: float,
    rows: Sequence[LayerRow],
    ops: Sequence[OpRow],
    brackets: dict[str, float],
    *,
    run: dict[str, Any] | None = None,
    timing: dict[str, Any] | None = None,
    precision: PrecisionInfo | None = None,
    notes: tuple[Note, ...] = (),
    trace: str | None = "plugins/profile/2026_11_20_09_31_07/host.xplane.pb",
) -> ProfileRecord:
    """A record closed from its parts: phases and coverage follow from the rows, `(idle)` takes what is left."""
    named = sum(line.self_ms for line in rows) + sum(brackets.values())
    bracket_rows = [row(f"({name})", "", (0.0, 0.0, 0.0), ms, step) for name, ms in brackets.items()]
    idle = max(0.0, step - named)
    layers = (*rows, *bracket_rows, row("(idle)", "", (0.0, 0.0, 0.0), idle, step))
    leaves = leaves_of(rows)
    sums = [sum(getattr(leaf, f"{part}_ms") for leaf in leaves) for part in ("forward", "backward", "optimizer")]
    phases: dict[Phase, float] = {
        "input": brackets.get("input", 0.0),
        "forward": sums[0],
        "loss": brackets.get("loss", 0.0),
        "backward": sums[1],
        "optimizer": sums[2] + brackets.get("optimizer", 0.0),
        "unattributed": brackets.get("unattributed", 0.0),
        "idle": idle,
    }
    inferred = sum(line.inferred_ms for line in rows) / step
    lost = phases["unattributed"] / step
    busy = 1 - idle / step
    return ProfileRecord(
        model=model,
        run=msgspec.structs.replace(RUN, **(run or {})),
        step=msgspec.structs.replace(STEP, **({"median_ms": step, **(timing or {})})),
        phases=tuple(PhaseRow(phase=phase, share=ms / step, ms=ms) for phase, ms in phases.items()),
        layers=layers,
        ops=tuple(ops),
        coverage=Coverage(
            own=busy - inferred - lost,
            inferred=inferred,
            unattributed=lost,
            idle=idle / step,
            attributed=1 - lost / busy,
        ),
        precision=precision or PrecisionInfo(compute_ops={"float32": 53}, float32_ops=()),
        trace=TraceInfo(
            run_dir=None if trace is None else FOLDER,
            file=trace,
            bytes=4_300_000,
            steps=5,
            events=165_701,
            every_op=True,
        ),
        notes=notes,
    )


def leaves_of(rows: Sequence[LayerRow]) -> list[LayerRow]:
    """The rows without rows below them."""
    inner = {line.path.rpartition("/")[0] for line in rows}
    return [line for line in rows if line.path not in inner]
