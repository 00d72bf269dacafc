"""Read a workload's trace and place its time: timeline × attribution → the tables of a record."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from tfopt.errors import InputError, RunFailed
from tfopt.profiling.advice import advise
from tfopt.profiling.measuring import Measurement
from tfopt.profiling.memory import memory_of
from tfopt.profiling.notes import remarks
from tfopt.profiling.roofline import Costs, with_cost
from tfopt.profiling.tables import TreeRow, coverage, layer_rows, op_rows, own_times, phase_rows
from tfopt.records.advice import StepFacts
from tfopt.records.base import Note
from tfopt.records.machine import Machine
from tfopt.records.memory import MemoryInfo
from tfopt.records.profile import (
    Coverage,
    LayerRow,
    ModelInfo,
    OpRow,
    PhaseRow,
    PrecisionInfo,
    ProfileRecord,
    RunInfo,
    StepInfo,
    TraceInfo,
)
from tfopt.trace.attribution import attribute
from tfopt.trace.hlo import programs
from tfopt.trace.recording import record
from tfopt.trace.timeline import sweep
from tfopt.trace.untraced import untraced
from tfopt.trace.xspace import Space, read_space
from tfopt.workload.capture import STEP_NAME
from tfopt.workload.facts import step_facts
from tfopt.workload.graph import StepGraph
from tfopt.workload.precision import census
from tfopt.workload.workload import Workload

__all__ = ["Analysis", "analyse"]


@dataclass(frozen=True)
class Analysis:
    """The fields of a record that come from its trace, under their names."""

    phases: tuple[PhaseRow, ...]
    layers: tuple[LayerRow, ...]
    ops: tuple[OpRow, ...]
    coverage: Coverage
    precision: PrecisionInfo
    trace: TraceInfo
    machine: Machine | None
    facts: StepFacts
    memory: MemoryInfo
    notes: tuple[Note, ...]

    def record(self, model: ModelInfo, run: RunInfo, step: StepInfo, notes: tuple[Note, ...]) -> ProfileRecord:
        """The whole record, with advice, and `notes` before those that the numbers call for."""
        record = ProfileRecord(model=model, run=run, step=step, **vars(self))
        return msgspec.structs.replace(record, notes=(*notes, *self.notes, *remarks(record)), advice=advise(record))


def analyse(
    measured: Measurement, workload: Workload, step: StepInfo, precision: str | None, costs: Costs, device: str
) -> Analysis:
    """Place the time of a trace, and hold it against what the layers cost.

    The untraced `step` turns shares into ms, and says how much of it is waiting.
    """
    trace = measured.trace
    space = _own_trace(trace.file)
    recording = record(space, STEP_NAME)
    step_ms = step.median_ms
    added = step.recording_ms * 1e9 * len(recording.steps)
    timeline = untraced(sweep(recording), recording.waits, added, step.input_ms / step_ms)
    step_graph = StepGraph(workload.step.concrete(workload.batch.arguments))
    tree = workload.scopes.tree
    attributions = attribute(
        recording.ops,
        workload.scopes.table,
        step_graph.graph(),
        programs(space),
        lambda index: tree[int(index)].path,
    )
    placed = [number for number, attribution in enumerate(attributions) if attribution.charges]
    timeline = timeline.only(placed)
    ops = tuple(recording.ops[number] for number in placed)
    attributions = tuple(attributions[number] for number in placed)
    memory, notes = memory_of(workload, space, measured.added_bytes)
    rows = [TreeRow(node.path, node.type, node.depth, workload.scopes.calls[node.path]) for node in tree]
    return Analysis(
        phase_rows(timeline, attributions, step_ms),
        with_cost(layer_rows(rows, timeline, attributions, step_ms), own_times(timeline, attributions, step_ms), costs),
        op_rows(ops, timeline, attributions, len(recording.steps), step_ms),
        coverage(timeline, attributions),
        census(step_graph.typed(), precision),
        TraceInfo(
            run_dir=None,
            file=None,
            bytes=space.bytes,
            steps=len(recording.steps),
            events=recording.events,
            every_op=trace.every_op,
        ),
        costs.machine,
        step_facts(workload, step_graph, device),
        memory,
        notes,
    )


def _own_trace(file: Path) -> Space:
    """The trace that this run has just written; it was asked for nothing wrong, so a cut-off file is a failed run."""
    try:
        return read_space(file)
    except InputError as error:
        raise RunFailed(
            f"the profiler's trace cannot be read: {error.message}", "check that the disk of the runs is not full"
        ) from error
