"""The record of one profiled run: what ran, how long a step takes, and where the time goes.

Units are in the names (`_ms`, `_s`, `_bytes`); shares are fractions of 1 of the step's wall time. Within schema
version 1 fields may be added, never changed.
"""

from __future__ import annotations

from typing import Literal

from tfopt.records.advice import Advice, StepFacts
from tfopt.records.base import Note, Record
from tfopt.records.influence_summary import InfluenceSummary
from tfopt.records.machine import Machine
from tfopt.records.memory import MemoryInfo

__all__ = [
    "SCHEMA",
    "Bound",
    "Coverage",
    "InputInfo",
    "LayerRow",
    "ModelInfo",
    "OpCharge",
    "OpRow",
    "Phase",
    "PhaseRow",
    "PrecisionInfo",
    "ProfileRecord",
    "Retrace",
    "RunInfo",
    "Source",
    "StepInfo",
    "TraceInfo",
]

SCHEMA: Literal["tfopt.profile/1"] = "tfopt.profile/1"

Phase = Literal["input", "forward", "loss", "backward", "optimizer", "unattributed", "idle"]
Source = Literal["own", "inferred", "none"]
Bound = Literal["compute", "memory", "overhead"]


class ModelInfo(Record, frozen=True, kw_only=True):
    """The model that ran. `size_bytes` is the file's (null for a model object or an application network)."""

    path: str
    name: str
    type: str
    format: Literal["keras", "hdf5", "savedmodel", "application", "object"]
    params: int
    trainable_params: int
    weight_bytes: int
    size_bytes: int | None
    keras_version: str | None


class InputInfo(Record, frozen=True, kw_only=True):
    """One input tensor of the step: its shape with the batch, its dtype and how its values were made."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    values: str


class RunInfo(Record, frozen=True, kw_only=True):
    """The circumstances of the run: everything needed to repeat it."""

    mode: Literal["train", "infer"]
    device: str
    precision: str
    xla: bool
    eager: bool
    batch_size: int
    steps: int
    trace_steps: int
    seed: int
    threads: int
    clock: str
    cpu: str
    command: str
    data: str
    inputs: tuple[InputInfo, ...]
    step_source: str
    loss: str | None
    optimizer: str | None
    started_at: str
    tfopt: str
    python: str
    tensorflow: str
    keras: str


class Retrace(Record, frozen=True, kw_only=True):
    """One tracing after the first, with the argument that caused it."""

    argument: str
    before: str
    after: str


class StepInfo(Record, frozen=True, kw_only=True):
    """Step time over untraced steps: median with its 95 % interval (order statistics), p95, and throughput.

    `cpu_ms` is the median process CPU time of a step, `compile_s` the time of the first step (tracing and compiling),
    `traced_ms` the median step under the profiler, `overhead` the share the profiler added (traced/untraced − 1).
    `recording_ms` is what recording adds to a step: its least working time with the profiler less that without.
    `input_ms` is the median time that an untraced step waited for data, `input_mean_ms` the mean.
    `skipped_steps` counts updates that loss scaling skipped (null where a model's own `train_step` leaves it unknown);
    `nonfinite_losses` counts NaN or infinite losses; `last_loss` is null where the step does not give the loss.
    """

    median_ms: float
    low_ms: float
    high_ms: float
    p95_ms: float
    cpu_ms: float
    samples: int
    warmup_steps: int
    compile_s: float
    retraces: int
    retrace_causes: tuple[Retrace, ...]
    examples_per_s: float
    traced_ms: float
    overhead: float
    skipped_steps: int | None
    last_loss: float | None
    nonfinite_losses: int
    input_ms: float = 0.0
    input_mean_ms: float = 0.0
    recording_ms: float = 0.0


class PhaseRow(Record, frozen=True, kw_only=True):
    """One phase of the step; the shares of all phases add up to 1."""

    phase: Phase
    share: float
    ms: float


class LayerRow(Record, frozen=True, kw_only=True):
    """One layer (or a row in brackets: loss, optimizer, input, unattributed, idle).

    `path` is the layer's place in the tree, parts joined by `/`; `depth` is 0 for the root model. `calls` is how often
    `call` ran while the step was traced: once per place where the layer is used; a loop's body and its trial run count
    one each. `self_ms` is the layer's time without its children, `total_ms` with them; `forward_ms`, `backward_ms` and
    `optimizer_ms` are the parts of `total_ms`. `share` is `self_ms` over the step: the shares of all rows add up to 1;
    `total_share` is `total_ms` over the step. `source` is `own` where every op belongs to this layer alone, `inferred`
    where some span layers or were placed by a guess (`inferred_ms` of `self_ms`).

    `flops` and `moved_bytes` are what the operations of the layer itself need (`tfopt.records.cost`), those alone whose
    time is in `self_ms`; `gflops_per_s` is `flops` over `self_ms`, `intensity` floating-point operations per byte. The
    least time that the machine's roofs allow is that of its operations at the peak of its dtype or of its bytes at the
    full bandwidth, whichever is longer; `roof_share` is that over `self_ms`, `bound` which of the two it is, or
    `overhead` where the share is small (docs/roofline.md). Null where it is not known or took no time.
    """

    path: str
    type: str
    depth: int
    calls: int
    forward_ms: float
    backward_ms: float
    optimizer_ms: float
    self_ms: float
    total_ms: float
    share: float
    total_share: float
    source: Source
    inferred_ms: float
    flops: int | None = None
    moved_bytes: int | None = None
    gflops_per_s: float | None = None
    intensity: float | None = None
    bound: Bound | None = None
    roof_share: float | None = None


class OpCharge(Record, frozen=True, kw_only=True):
    """The fraction of an op's time that belongs to a layer (or bracketed row) and phase."""

    layer: str
    phase: Phase
    fraction: float


class OpRow(Record, frozen=True, kw_only=True):
    """One op that ran: its type, name, layer (or bracketed row) and phase.

    `per_step` is how often it ran per step, `self_ms` its exclusive share of the step's wall time, `busy_ms` its time
    on its thread (ops on several threads overlap). `members` lists the layers of an op that does work for several;
    where its time is split among them, `charges` says how, largest first, and `layer` and `phase` are the first's.
    `instruction` is its XLA program and HLO instruction (`12:fusion.3`), the name it has in the trace.
    """

    type: str
    name: str
    layer: str
    phase: Phase
    per_step: float
    self_ms: float
    busy_ms: float
    share: float
    source: Source
    members: tuple[str, ...] = ()
    charges: tuple[OpCharge, ...] = ()
    instruction: str = ""

    @property
    def placed(self) -> tuple[OpCharge, ...]:
        """Where all of the op's time belongs: `charges`, or its one layer and phase."""
        return self.charges or (OpCharge(layer=self.layer, phase=self.phase, fraction=1.0),)


class Coverage(Record, frozen=True, kw_only=True):
    """How the step's time could be placed: `own`, `inferred`, `unattributed` and `idle` are fractions that add up to 1.

    `attributed` is own + inferred over all op time (without idle time and without waiting for data). `executor` is the
    fraction of the step that TensorFlow's executor works for ops before and after they run; it is in their times.
    """

    own: float
    inferred: float
    unattributed: float
    idle: float
    attributed: float
    executor: float = 0.0


class PrecisionInfo(Record, frozen=True, kw_only=True):
    """What really computes in which dtype: MatMul and convolution ops in the traced graph, by dtype.

    `float32_ops` names those that stayed float32 although a lower precision was asked for.
    """

    compute_ops: dict[str, int]
    float32_ops: tuple[str, ...]


class TraceInfo(Record, frozen=True, kw_only=True):
    """The recorded trace: its file (relative to the run folder), its size and what it holds.

    `run_dir` is the run folder as it was named when the run was recorded; both are null where nothing was kept.
    `every_op` is false where TensorFlow left ops out of it that it takes for cheap; their time then counts as idle.
    """

    run_dir: str | None
    file: str | None
    bytes: int
    steps: int
    events: int
    every_op: bool


class ProfileRecord(Record, frozen=True, kw_only=True):
    """One profiled run. `schema` names this layout. `machine` has the roofs that its layers are held against."""

    schema: Literal["tfopt.profile/1"] = SCHEMA
    model: ModelInfo
    run: RunInfo
    step: StepInfo
    phases: tuple[PhaseRow, ...]
    layers: tuple[LayerRow, ...]
    ops: tuple[OpRow, ...]
    coverage: Coverage
    precision: PrecisionInfo
    trace: TraceInfo
    notes: tuple[Note, ...] = ()
    facts: StepFacts | None = None
    advice: tuple[Advice, ...] = ()
    machine: Machine | None = None
    memory: MemoryInfo | None = None
    influence: InfluenceSummary | None = None
