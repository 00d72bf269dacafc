"""What ran and how long it took, as short plain phrases that the terminal and Markdown share."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePath

from tfopt.records.profile import InputInfo, ModelInfo, ProfileRecord
from tfopt.report import units
from tfopt.report.tree import Line

__all__ = [
    "circumstances",
    "computing",
    "input_phrase",
    "inputs",
    "place",
    "placement",
    "program",
    "roofs",
    "subject",
    "timing",
]


def subject(model: ModelInfo) -> list[str]:
    """The model: its file (or name) first, then what it is."""
    title = PurePath(model.path).name or model.name
    kind = model.type if title == model.name else f"{model.name} ({model.type})"
    facts = [title, kind, f"{units.count(model.params)} params"]
    return facts if model.size_bytes is None else [*facts, units.size(model.size_bytes)]


def circumstances(record: ProfileRecord) -> list[str]:
    """How it ran: mode, place, precision, program, batch, data, versions."""
    run = record.run
    return [
        f"{run.mode} step",
        place(run.device, run.threads),
        run.precision,
        program(record),
        f"batch {run.batch_size}",
        f"{run.data} data" if run.data == "synthetic" else run.data,
        *([f"loss {run.loss}"] if run.loss else []),
        *([f"optimizer {run.optimizer}"] if run.optimizer else []),
        f"TensorFlow {run.tensorflow}, Keras {run.keras}",
    ]


def place(device: str, threads: int) -> str:
    """A device, of a CPU with its threads."""
    cpu = device.upper().startswith("CPU")
    return device + (f", {threads} thread{'s' if threads != 1 else ''}" if cpu and threads else "")


def program(record: ProfileRecord) -> str:
    """What the step was made into."""
    return "eager" if record.run.eager else "XLA" if record.run.xla else "graph"


def inputs(record: ProfileRecord) -> list[str]:
    """One phrase per input tensor: name, shape with the batch, dtype, and how its values were made."""
    return [input_phrase(info) for info in record.run.inputs]


def input_phrase(info: InputInfo) -> str:
    """One input tensor: name, shape with the batch, dtype, and how its values were made."""
    shape = "×".join(str(size) for size in info.shape) or "scalar"
    return f"{info.name} {shape} {info.dtype}" + (f", {info.values}" if info.values else "")


def timing(record: ProfileRecord) -> list[str]:
    """The answer: step time and its interval, throughput, the price of the first step and of tracing, retraces."""
    step = record.step
    return [
        f"{units.duration(step.median_ms)} / step",
        f"95 % interval of this run {units.interval(step.low_ms, step.high_ms)}",
        f"p95 {units.duration(step.p95_ms)}",
        f"CPU {units.duration(step.cpu_ms)}",
        f"{units.count(step.examples_per_s)} examples/s",
        *([units.rate(flops / step.median_ms / 1e6)] if (flops := _flops(record)) else []),
        f"first step {units.seconds(step.compile_s)}",
        f"tracing {units.added(step.overhead)}",
        f"{step.retraces or 'no'} retrace{'s' if step.retraces != 1 else ''}",
    ]


def _flops(record: ProfileRecord) -> int:
    """Floating-point operations of the step, as far as they are known."""
    return sum(row.flops or 0 for row in record.layers)


def roofs(record: ProfileRecord, lines: Iterable[Line] = ()) -> str:
    """What this machine can do, and how any of `lines` may do more; empty where it was not measured."""
    machine = record.machine
    if machine is None:
        return ""
    peaks = ", ".join(f"{units.rate(peak)} {dtype}" for dtype, peak in machine.peak_gflops.items())
    cached = any(line.bound == "memory" and (line.times.roof_share or 0) > 1 for line in lines)
    above = ". Above 100 %: tensors stay in caches, which are faster than memory" if cached else ""
    return f"roofs of this machine: {peaks}; memory {units.number(machine.bandwidth_gb_per_s)} GB/s{above}"


def computing(record: ProfileRecord) -> str:
    """The dtypes that matrix ops really computed in; empty where there is nothing to tell beside float32."""
    ops = record.precision.compute_ops
    if record.run.precision == "float32" and set(ops) <= {"float32"}:
        return ""
    ranked = sorted(ops.items(), key=lambda item: -item[1])
    parts = ", ".join(f"{number} in {dtype}" for dtype, number in ranked)
    return f"matrix ops: {parts}" if parts else "no matrix ops"


def placement(record: ProfileRecord) -> str:
    """How much of the step could be placed, and how surely."""
    coverage = record.coverage
    parts = ((coverage.inferred, "inferred"), (coverage.unattributed, "not placed"), (coverage.idle, "idle"))
    sure = f"{units.percent(coverage.own)} of the step surely placed"
    return ", ".join([sure, *(f"{units.percent(share)} {what}" for share, what in parts if share)])
