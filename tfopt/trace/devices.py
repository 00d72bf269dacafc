"""Device planes: what ran on the streams of GPUs, TPUs and other accelerators.

A device plane's lines hold its time several times over: beside the streams, or a TPU's `XLA Ops`, there may be lines
that repeat it by module, step, framework op or name scope (`xplane_schema.cc` of TensorFlow's profiler names them).
Only the streams count, else the XLA ops; DMA in the background (`Async XLA Ops`) keeps no core busy.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tfopt.trace.recording import Op, Recording
from tfopt.trace.timeline import Timeline, sweep
from tfopt.trace.xspace import EventKind, Ints, Line, Plane, Space, Stats

__all__ = ["Device", "Kernel", "devices"]

_OPS = frozenset({"XLA Ops", "Sparse Core Ops"})
_STEPS = "Steps"
_BESIDE = _OPS | {
    _STEPS,
    "Sparse Core Steps",
    "XLA Modules",
    "Sparse Core Modules",
    "Async XLA Ops",
    "XLA TraceMe",
    "Framework Ops",
    "TensorFlow Ops",
    "Framework Name Scope",
    "TensorFlow Name Scope",
    "Source code",
    "Source Code",
    "Launch Stats",
    "Host Offload Ops",
    "Tensor Core Sync Flag",
    "Sparse Core Syncs",
    "_counters_",
}
# A TPU's events are called by their whole instruction: `%fusion.3 = f32[8,128]{1,0} fusion(...)`.
_INSTRUCTION = re.compile(r"^%?([\w.\-]+) = ")


@dataclass(frozen=True)
class Kernel:
    """One kernel as it was launched for one op: `hlo_op` and `program` name the XLA instruction, `tf_op` (NAME:TYPE)
    and `label` are what the framework called it. All may be empty."""

    name: str
    hlo_op: str
    program: int
    tf_op: str = ""
    label: str = ""
    copies: bool = False


@dataclass(frozen=True)
class Device:
    """What one device did. `timeline` has one entry per kernel, over the span from its first event to its last;
    `occurrences` counts events, those without length too. `steps` are the lengths of its steps (ps)."""

    name: str
    streams: int
    events: int
    kernels: tuple[Kernel, ...]
    occurrences: Ints
    timeline: Timeline
    steps: Ints


def devices(space: Space) -> tuple[list[Device], int]:
    """The devices of a trace that have events, and how many have none."""
    planes = [plane for plane in space.planes if plane.name.startswith("/device:")]
    found = [device for plane in planes if (device := _device(plane)) is not None]
    return found, len(planes) - len(found)


def _device(plane: Plane) -> Device | None:
    lines = [line for line in plane.lines(lambda kind: True) if len(line.kind)]
    streams = _busy_lines(lines)
    steps = [line.end - line.start for line in lines if line.name == _STEPS]
    index: dict[Kernel, int] = {}
    op = np.concatenate([np.empty(0, np.int64), *(_kernels_of(line, plane, index) for line in streams)])
    if not len(op):
        return None
    thread = np.repeat(np.arange(len(streams)), [len(line.kind) for line in streams])
    start, end = (np.concatenate([getattr(line, edge) for line in streams]) for edge in ("start", "end"))
    lasting = end > start
    span = np.array([[start.min(), max(start.min(), end.max())]], dtype=np.int64)
    ops = tuple(Op("hlo", kernel.name, "", kernel.program) for kernel in index)
    names = tuple(line.name for line in streams)
    events = (op[lasting], thread[lasting], start[lasting], end[lasting], lasting[lasting], ~lasting[lasting])
    recording = Recording(ops, *events, span, len(op), names)
    return Device(
        plane.name.removeprefix("/device:"),
        len(streams),
        len(op),
        tuple(index),
        np.bincount(op, minlength=len(index)),
        sweep(recording),
        np.concatenate([np.empty(0, np.int64), *steps]),
    )


def _busy_lines(lines: Sequence[Line]) -> list[Line]:
    """The lines whose events are the device's work, each once."""
    streams = [line for line in lines if line.name.startswith("Stream")]
    ops = [line for line in lines if line.name in _OPS]
    return streams or ops or [line for line in lines if line.name not in _BESIDE]


def _kernels_of(line: Line, plane: Plane, index: dict[Kernel, int]) -> Ints:
    """The number of each event's kernel in `index`, which grows."""
    known: dict[tuple[object, ...], int] = {}
    numbers = np.empty(len(line.kind), dtype=np.int64)
    for position, key in enumerate(line.kind.tolist()):
        stats = line.stats.get(position, {})
        identity = (key, *map(stats.get, ("hlo_op", "program_id", "tf_op", "name")))
        number = known.get(identity)
        if number is None:
            kernel = _kernel(plane.kinds.get(key, EventKind(f"event {key}")), stats)
            number = known[identity] = index.setdefault(kernel, len(index))
        numbers[position] = number
    return numbers


def _kernel(kind: EventKind, own: Stats) -> Kernel:
    stats = {**kind.stats, **own}
    instruction = _INSTRUCTION.match(kind.name)
    name = instruction[1] if instruction else kind.name
    program = stats.get("program_id")
    return Kernel(
        name,
        _text(stats.get("hlo_op")) or (instruction[1] if instruction else ""),
        program if isinstance(program, int) else 0,
        _text(stats.get("tf_op")),
        _text(stats.get("name")),
        "memcpy_details" in stats,
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
