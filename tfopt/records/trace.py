"""The record of a trace that tfopt did not make: what ran on devices and hosts, and under which names.

Units are in the names (`_ms`, `_bytes`); shares are fractions of 1. Within schema version 1 fields may be added, never
changed.
"""

from __future__ import annotations

from typing import Literal

from tfopt.records.base import Note, Record

__all__ = [
    "TRACE_SCHEMA",
    "DeviceRow",
    "KernelRow",
    "OpPhase",
    "ScopeRow",
    "Steps",
    "TraceOpRow",
    "TraceRecord",
    "TraceSource",
    "UnnamedRow",
    "Where",
]

TRACE_SCHEMA: Literal["tfopt.trace/1"] = "tfopt.trace/1"

Where = Literal["device", "host"]
OpPhase = Literal["forward", "backward", "other"]


class TraceSource(Record, frozen=True, kw_only=True):
    """Where the trace came from: the `files` of one session, one per host. `session` is the session's folder name and
    `sessions` how many lie beside it (null and 1 for a single file)."""

    path: str
    session: str | None
    sessions: int
    files: tuple[str, ...]
    hosts: tuple[str, ...]
    bytes: int
    events: int


class Steps(Record, frozen=True, kw_only=True):
    """Steps that the trace marks: their marker's name, how many there are on the first host or device that has any,
    and their median length."""

    name: str
    count: int
    median_ms: float


class DeviceRow(Record, frozen=True, kw_only=True):
    """One device with events, or the ops of one host where no device has any.

    `span_ms` is the time from its first event to its last (on a host with step markers: the length of the steps);
    `idle_ms` the part of it in which nothing ran and `busy_ms` the rest. `op_ms` adds up the time on all `streams`
    (or threads): it is above `busy_ms` where they overlap.
    """

    host: str
    name: str
    where: Where
    streams: int
    events: int
    span_ms: float
    busy_ms: float
    idle_ms: float
    op_ms: float
    idle_share: float


class KernelRow(Record, frozen=True, kw_only=True):
    """One kernel (TPU: one instruction) over all devices. `time_ms` is its time on its streams, `share` that over all
    device time. `self_ms` splits each instant among the streams active in it: the rows' sum is the devices' busy time.
    `op` is the op that it worked for longest, '' where none is known."""

    name: str
    op: str
    occurrences: int
    time_ms: float
    self_ms: float
    share: float


class TraceOpRow(Record, frozen=True, kw_only=True):
    """One op by its name. Times as in KernelRow; on a host, time on threads without the ops inside.

    `joined` says where the name came from: the XLA program of the trace, a stat of the kernel, or the event itself;
    `hlo` where the name is only that of an XLA instruction. `phase` is what the name tells.
    """

    name: str
    type: str
    scope: str
    phase: OpPhase
    joined: Literal["program", "stat", "event", "hlo"]
    occurrences: int
    time_ms: float
    self_ms: float
    share: float


class UnnamedRow(Record, frozen=True, kw_only=True):
    """Device time that joins to no op, by what it is: copies, memory sets, kernels. Times as in KernelRow."""

    what: str
    occurrences: int
    time_ms: float
    self_ms: float
    share: float


class ScopeRow(Record, frozen=True, kw_only=True):
    """One name scope. `own_ms` is the time of ops directly in it, `total_ms` with the scopes inside, of which
    `forward_ms`, `backward_ms` and `other_ms` (names that do not tell) are the parts; all are op time as `time_ms`.
    `share` is `own_ms` and `total_share` is `total_ms` over all op time."""

    path: str
    depth: int
    occurrences: int
    forward_ms: float
    backward_ms: float
    other_ms: float
    own_ms: float
    total_ms: float
    share: float
    total_share: float


class TraceRecord(Record, frozen=True, kw_only=True):
    """One foreign trace. Kernels, ops, scopes and unnamed time are the devices' if any ran (`where`), else the hosts'.

    The `time_ms` of `ops` and `unnamed` add up to `op_ms` of `devices`, as do those of `kernels`; their `self_ms` and
    the devices' `idle_ms` add up to the devices' `span_ms`. `joined_share` is the part of op time with an op's name.
    `host_ops` are ops on the hosts of a trace whose rows are the devices' (shares of the hosts' op time).
    """

    schema: Literal["tfopt.trace/1"] = TRACE_SCHEMA
    source: TraceSource
    where: Where
    span_ms: float
    op_ms: float
    idle_share: float
    joined_share: float
    steps: Steps | None
    devices: tuple[DeviceRow, ...]
    empty_devices: int
    kernels: tuple[KernelRow, ...]
    ops: tuple[TraceOpRow, ...]
    unnamed: tuple[UnnamedRow, ...]
    scopes: tuple[ScopeRow, ...]
    host_ops: tuple[TraceOpRow, ...]
    notes: tuple[Note, ...] = ()
