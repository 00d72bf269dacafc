"""Rows of a foreign trace: its entries (one kernel or op on one device or host) added up by kernel and by op."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tfopt.records.trace import KernelRow, TraceOpRow, UnnamedRow
from tfopt.trace.devices import Device, Kernel
from tfopt.trace.graph import Graph
from tfopt.trace.joining import Joined, join, what
from tfopt.trace.opnames import OpName, forward_roots, read_name, without_calls
from tfopt.trace.recording import Op, Recording
from tfopt.trace.timeline import Timeline

__all__ = ["Entry", "device_entries", "host_entries", "kernel_rows", "op_rows", "unnamed_rows"]

_PS_PER_MS = 1e9


@dataclass(frozen=True)
class Entry:
    """A kernel or op with the op it joins to (None: `what` it is), how often it ran, its time on its stream or thread
    and its exclusive part of the span (both ms)."""

    name: str
    joined: Joined | None
    what: str
    occurrences: int
    time_ms: float
    self_ms: float


def device_entries(device: Device, programs: Mapping[int, Graph]) -> list[Entry]:
    """One entry per kernel and op of a device."""
    return [
        Entry(kernel.name, join(kernel, programs), what(kernel), *row)
        for kernel, row in zip(device.kernels, _times(device.timeline, device.occurrences), strict=True)
    ]


def host_entries(recording: Recording, timeline: Timeline, programs: Mapping[int, Graph]) -> list[Entry]:
    """One entry per op of a host that ran inside its steps."""
    rows = zip(recording.ops, _times(timeline, timeline.count), strict=True)
    return [Entry(op.name, _joined(op, programs), "waiting for data", *row) for op, row in rows if any(row)]


def _times(timeline: Timeline, occurrences: Iterable[Any]) -> Iterable[tuple[int, float, float]]:
    for number, time, wall in zip(occurrences, timeline.busy, timeline.wall, strict=True):
        yield int(number), float(time) / _PS_PER_MS, float(wall) / _PS_PER_MS


def _joined(op: Op, programs: Mapping[int, Graph]) -> Joined | None:
    if op.kind == "marker":
        return None
    if op.kind == "hlo":
        return join(Kernel(op.name, op.name, op.program or 0), programs)
    return Joined(without_calls(op.name), op.type, "event")


def _grouped(entries: Iterable[Entry], key: Callable[[Entry], str]) -> dict[str, Entry]:
    """Entries added up by `key`, largest first; of a group's names the one that took longest stands for it."""
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(key(entry), []).append(entry)
    sums = {name: _sum(group) for name, group in groups.items()}
    return dict(sorted(sums.items(), key=lambda item: (-item[1].time_ms, item[0])))


def _sum(group: Sequence[Entry]) -> Entry:
    return replace(
        max(group, key=lambda entry: entry.time_ms),
        occurrences=sum(entry.occurrences for entry in group),
        time_ms=sum(entry.time_ms for entry in group),
        self_ms=sum(entry.self_ms for entry in group),
    )


def _measures(entry: Entry, total_ms: float) -> dict[str, Any]:
    return {
        "occurrences": entry.occurrences,
        "time_ms": entry.time_ms,
        "self_ms": entry.self_ms,
        "share": entry.time_ms / total_ms if total_ms else 0.0,
    }


def kernel_rows(entries: Iterable[Entry], total_ms: float) -> tuple[KernelRow, ...]:
    """Kernels by time."""
    groups = _grouped(entries, lambda entry: entry.name)
    return tuple(
        KernelRow(name=name, op=entry.joined.name if entry.joined else "", **_measures(entry, total_ms))
        for name, entry in groups.items()
    )


def op_rows(entries: Iterable[Entry], total_ms: float) -> tuple[TraceOpRow, ...]:
    """Ops by time, with what their names tell."""
    groups = _grouped((entry for entry in entries if entry.joined), lambda entry: entry.joined.name)  # type: ignore[union-attr]
    names = {key: read_name(key) for key in groups}
    roots = forward_roots(names.values())
    return tuple(_op_row(key, entry, names[key], roots, total_ms) for key, entry in groups.items())


def _op_row(key: str, entry: Entry, name: OpName, roots: frozenset[str], total_ms: float) -> TraceOpRow:
    assert entry.joined is not None
    below_tape = name.phase == "other" and bool(name.scope) and name.scope[0] in roots
    return TraceOpRow(
        name=key,
        type=entry.joined.type or name.type,
        scope="/".join(name.scope),
        phase="forward" if below_tape else name.phase,
        joined=entry.joined.source,
        **_measures(entry, total_ms),
    )


def unnamed_rows(entries: Iterable[Entry], total_ms: float) -> tuple[UnnamedRow, ...]:
    """Time without an op, by what it is."""
    groups = _grouped((entry for entry in entries if entry.joined is None), lambda entry: entry.what)
    return tuple(UnnamedRow(what=name, **_measures(entry, total_ms)) for name, entry in groups.items())
