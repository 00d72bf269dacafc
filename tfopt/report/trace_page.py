"""The page of a foreign trace: how busy its devices were, what ran on them, and which scopes it was for."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import PurePath

from tfopt.errors import UsageError
from tfopt.records.trace import OpPhase, TraceRecord
from tfopt.report import units
from tfopt.report.page import Page, Table
from tfopt.report.trace_tables import (
    device_table,
    group_table,
    host_op_tables,
    kernel_table,
    op_table,
    scope_table,
)
from tfopt.report.view import BOTTLENECKS, By, View, listed
from tfopt.wording import counted

__all__ = ["page"]


def page(record: TraceRecord, view: View) -> Page:
    """What to show of `record`; UsageError where it has no rows of the kind that `view.by` asks for."""
    return Page(
        title=PurePath(record.source.path).name or record.source.path,
        answer=_answer(record),
        facts=(_joined(record), _source(record)),
        tables=_TABLES[view.by](record, view),
        notes=record.notes,
        footer=_footer(record),
    )


def _answer(record: TraceRecord) -> tuple[str, ...]:
    rows = record.devices
    what = record.where + ("s" if len(rows) > 1 else "")
    spans = sorted(row.span_ms for row in rows)
    span = units.duration(spans[0]) if spans[0] == spans[-1] else units.interval(spans[0], spans[-1])
    steps = record.steps
    return (
        f"{what} {units.percent(1 - record.idle_share)} busy",
        f"{units.duration(record.op_ms)} of {record.where} time on {len(rows)} {what}",
        f"{span} in steps" if record.where == "host" and steps else f"first to last event {span}",
        f"{counted(steps.count, 'step')}, median {units.duration(steps.median_ms)}" if steps else "no step markers",
    )


def _joined(record: TraceRecord) -> tuple[str, ...]:
    if record.where == "host":
        return ()
    bare = sum(op.share for op in record.ops if op.joined == "hlo")
    parts = [(row.share, row.what) for row in record.unnamed] + [(bare, "XLA instructions without an op")]
    named = f"{units.percent(record.joined_share)} of {record.where} time joins to the name of an op"
    return (named, *(f"{units.percent(share)} {what}" for share, what in parts if share))


def _source(record: TraceRecord) -> tuple[str, ...]:
    source = record.source
    hosts = f"{len(source.hosts)} hosts" if len(source.hosts) > 1 else f"host {source.hosts[0]}"
    session = () if source.session is None else (f"session {source.session}{_others(source.sessions - 1)}", hosts)
    return (*session, f"{source.events} events", units.size(source.bytes))


def _others(others: int) -> str:
    return f", the latest; {counted(others, 'other')} beside it" if others else ""


def _footer(record: TraceRecord) -> tuple[tuple[str, str], ...]:
    path = shlex.quote(record.source.path)
    rows = "kernel" if record.where == "device" else "op"
    return (("more", f"tfopt report {path} --by {rows}"), ("save", f"tfopt report {path} -o report.json"))


def _by_layer(record: TraceRecord, view: View) -> tuple[Table, ...]:
    top = BOTTLENECKS if view.top != 0 else 0
    scopes = (scope_table(record, view),) if record.scopes else ()
    kernels = (kernel_table(record, top),) if record.kernels else ()
    ops = op_table(record, top, "op" if scopes else "layer")
    devices = (device_table(record, 8),)
    return (*scopes, ops, *kernels, *devices)


def _by_kernel(record: TraceRecord, view: View) -> tuple[Table, ...]:
    if not record.kernels:
        raise UsageError("this trace holds no events of devices, so no kernels", "see its ops with --by op")
    return (kernel_table(record, listed(view)),)


_OTHER = "other or not told"


def _by_phase(record: TraceRecord, view: View) -> tuple[Table, ...]:
    if all(op.phase == "other" for op in record.ops):
        raise UsageError("no name in this trace tells forward from backward", "see its ops with --by op")
    names: dict[OpPhase, str] = {"forward": "forward", "backward": "backward", "other": _OTHER}
    return (group_table(record, "Phases", "phase", lambda op: names[op.phase], 0),)


_TABLES: dict[By, Callable[[TraceRecord, View], tuple[Table, ...]]] = {
    "layer": _by_layer,
    "op": lambda record, view: (op_table(record, listed(view)), *host_op_tables(record, listed(view))),
    "type": lambda record, view: (group_table(record, "Op types", "type", lambda op: op.type, listed(view)),),
    "phase": _by_phase,
    "kernel": _by_kernel,
    "device": lambda record, view: (device_table(record, listed(view)),),
}
