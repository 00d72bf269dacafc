"""A foreign trace as a record: every host's file is read, devices before hosts, and summed over all of them."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tfopt.errors import InputError
from tfopt.records.trace import DeviceRow, Steps, TraceOpRow, TraceRecord, TraceSource, Where
from tfopt.trace.devices import Device, devices
from tfopt.trace.findings import findings
from tfopt.trace.hlo import programs
from tfopt.trace.recording import record
from tfopt.trace.scope_rows import scope_rows
from tfopt.trace.sessions import Session, find_session
from tfopt.trace.timeline import Timeline, sweep
from tfopt.trace.trace_rows import Entry, device_entries, host_entries, kernel_rows, op_rows, unnamed_rows
from tfopt.trace.xspace import Ints, Space, read_space

__all__ = ["read_trace", "summarise"]

_PS_PER_MS = 1e9


def read_trace(path: str | Path) -> TraceRecord:
    """What the trace at `path` holds: an `*.xplane.pb` file of any name, the folder of a session, or a log folder, of
    which the latest session counts. Raises InputError where there is none, or nothing ran in it."""
    return summarise(find_session(Path(path)))


@dataclass(frozen=True)
class _Host:
    """What was read of one host."""

    bytes: int
    events: int
    rows: dict[Where, list[DeviceRow]]
    entries: dict[Where, list[Entry]]
    empty_devices: int
    steps: Steps | None
    programs: int


def summarise(session: Session) -> TraceRecord:
    """The record of a session's files, one per host."""
    hosts = [_read(read_space(file), name) for file, name in zip(session.files, session.hosts, strict=True)]
    where: Where = "device" if any(host.rows["device"] for host in hosts) else "host"
    rows = [row for host in hosts for row in host.rows[where]]
    if not rows:
        raise InputError(
            f"nothing ran in the trace {session.path}: it holds neither device kernels nor ops",
            "record it again, around at least one step, with host or device tracing on",
        )
    entries = [entry for host in hosts for entry in host.entries[where]]
    op_ms = sum(row.op_ms for row in rows)
    span_ms = sum(row.span_ms for row in rows)
    ops = op_rows(entries, op_ms)
    found = TraceRecord(
        source=TraceSource(
            path=str(session.path),
            session=session.name,
            sessions=session.sessions,
            files=tuple(str(file) for file in session.files),
            hosts=session.hosts,
            bytes=sum(host.bytes for host in hosts),
            events=sum(host.events for host in hosts),
        ),
        where=where,
        span_ms=span_ms,
        op_ms=op_ms,
        idle_share=sum(row.idle_ms for row in rows) / span_ms if span_ms else 0.0,
        joined_share=sum(op.time_ms for op in ops if op.joined != "hlo") / op_ms if op_ms else 0.0,
        steps=next((host.steps for host in hosts if host.steps), None),
        devices=tuple(rows),
        empty_devices=sum(host.empty_devices for host in hosts),
        kernels=kernel_rows(entries, op_ms) if where == "device" else (),
        ops=ops,
        unnamed=unnamed_rows(entries, op_ms),
        scopes=scope_rows(ops, op_ms),
        host_ops=_host_ops(hosts) if where == "device" else (),
    )
    return findings(found, programs=sum(host.programs for host in hosts))


def _read(space: Space, name: str) -> _Host:
    graphs = programs(space)
    accelerators, empty = devices(space)
    entries: dict[Where, list[Entry]] = {"device": [], "host": []}
    rows: dict[Where, list[DeviceRow]] = {"device": [], "host": []}
    steps, events = None, 0
    for device in accelerators:
        entries["device"] += device_entries(device, graphs)
        rows["device"].append(_row(name, device.name, "device", device.streams, device.events, device.timeline))
        events += device.events
    if space.plane("/host:CPU") is not None:
        recording = record(space, None)
        timeline = sweep(recording)
        entries["host"] = host_entries(recording, timeline, graphs)
        threads = len({thread for thread in recording.thread.tolist() if thread >= 0})
        if entries["host"]:
            rows["host"].append(_row(name, "CPU", "host", threads, int(timeline.count.sum()), timeline))
        events += recording.events
        steps = _steps(recording.step_name, recording.steps[:, 1] - recording.steps[:, 0])
    return _Host(space.bytes, events, rows, entries, empty, steps or _device_steps(accelerators), len(graphs))


def _row(host: str, name: str, where: Where, streams: int, events: int, timeline: Timeline) -> DeviceRow:
    return DeviceRow(
        host=host,
        name=name,
        where=where,
        streams=streams,
        events=events,
        span_ms=timeline.total / _PS_PER_MS,
        busy_ms=(timeline.total - timeline.idle) / _PS_PER_MS,
        idle_ms=timeline.idle / _PS_PER_MS,
        op_ms=float(timeline.busy.sum()) / _PS_PER_MS,
        idle_share=timeline.idle / timeline.total if timeline.total else 0.0,
    )


def _device_steps(accelerators: Sequence[Device]) -> Steps | None:
    return next((steps for device in accelerators if (steps := _steps(device.name, device.steps))), None)


def _steps(name: str | None, lengths: Ints) -> Steps | None:
    if name is None or not len(lengths):
        return None
    return Steps(name=name, count=len(lengths), median_ms=statistics.median(lengths.tolist()) / _PS_PER_MS)


def _host_ops(hosts: Sequence[_Host]) -> tuple[TraceOpRow, ...]:
    """Ops that hosts ran beside the devices; what carries an XLA instruction there only launched its kernel."""
    entries = [
        entry for host in hosts for entry in host.entries["host"] if entry.joined and entry.joined.source == "event"
    ]
    return op_rows(entries, sum(entry.time_ms for entry in entries))
