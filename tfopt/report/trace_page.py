"""The page of a foreign trace: how busy its devices were, what ran on them, and which scopes it was for."""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import PurePath
from typing import TypeVar

from tfopt.errors import UsageError
from tfopt.records.trace import DeviceRow, OpPhase, ScopeRow, TraceOpRow, TraceRecord
from tfopt.report import units
from tfopt.report.page import Column, Page, Table, Value
from tfopt.report.view import BOTTLENECKS, By, View, listed

__all__ = ["page"]

_Row = tuple[Value, ...]
_T = TypeVar("_T")


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
    what = ("device" if record.where == "device" else "host") + ("s" if len(rows) > 1 else "")
    spans = sorted(row.span_ms for row in rows)
    span = units.duration(spans[0]) if spans[0] == spans[-1] else units.interval(spans[0], spans[-1])
    steps = record.steps
    return (
        f"{what} {units.percent(1 - record.idle_share)} busy",
        f"{units.duration(record.op_ms)} of {record.where} time on {len(rows)} {what}",
        f"first to last event {span}" if record.where == "device" or steps is None else f"steps of {span}",
        f"{steps.count} steps, median {units.duration(steps.median_ms)}" if steps else "no step markers",
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
    return f", the latest; {others} other{'s' if others > 1 else ''} beside it" if others else ""


def _footer(record: TraceRecord) -> tuple[tuple[str, str], ...]:
    path = shlex.quote(record.source.path)
    rows = "kernel" if record.where == "device" else "op"
    return (("more", f"tfopt report {path} --by {rows}"), ("save", f"tfopt report {path} -o report.json"))


def _devices(record: TraceRecord, top: int) -> Table:
    several_hosts = len(record.source.hosts) > 1
    overlap = any(device.op_ms > 1.001 * device.busy_ms for device in record.devices)
    columns = (
        Column("device", "device", "name"),
        *((Column("host", "host", "name", drop=3),) if several_hosts else ()),
        Column("streams", "streams" if record.where == "device" else "threads", "count", drop=1),
        Column("events", "events", "count", drop=2),
        Column("span_ms", "span ms", "ms"),
        Column("busy_ms", "busy ms", "ms"),
        Column("idle_ms", "idle ms", "ms", drop=4),
        Column("op_ms", "in sum ms", "ms", drop=3, quiet=not overlap),
        Column("idle_share", "idle", "share"),
    )

    def row(device: DeviceRow) -> _Row:
        host = (device.host,) if several_hosts else ()
        times = (device.span_ms, device.busy_ms, device.idle_ms, device.op_ms, device.idle_share)
        return (device.name, *host, device.streams, device.events, *times)

    shown, cut = _cut(record.devices, top)
    sums = [sum(getattr(device, key) for device in cut) for key in ("span_ms", "busy_ms", "idle_ms", "op_ms")]
    idle = sums[2] / sums[0] if sums[0] else 0.0
    blank = (None,) * (len(columns) - 6)
    rest = ((f"{len(cut)} more devices", *blank, *sums, idle),) if cut else ()
    return Table("Devices" if record.where == "device" else "Hosts", "device", columns, tuple(map(row, shown)), rest)


def _ops(record: TraceRecord, top: int, by: By = "op") -> Table:
    return _op_table("Ops", by, record.ops, top, record, _unnamed(record, 3))


def _host_ops(record: TraceRecord, top: int) -> tuple[Table, ...]:
    if not record.host_ops:
        return ()
    return (_op_table("Host ops", "op", record.host_ops, top, record, (), time="thread ms"),)


def _op_table(
    title: str,
    by: By,
    rows: Sequence[TraceOpRow],
    top: int,
    record: TraceRecord,
    unnamed: Sequence[_Row],
    time: str | None = None,
) -> Table:
    told = any(op.phase != "other" for op in rows)
    columns = (
        Column("name", "op", "name"),
        Column("type", "type", "name", drop=3),
        Column("joined", "named by", "text", quiet=True),
        Column("phase", "phase", "text", drop=5, quiet=not told),
        *_measures(time or _time(record)),
    )
    shown, cut = _cut(rows, top)
    listed_rows = tuple(
        (op.name, op.type, op.joined, op.phase, op.occurrences, op.time_ms, op.self_ms, op.share) for op in shown
    )
    rest = [_sum(f"{len(cut)} more ops", 3, cut)] if cut else []
    return Table(title, by, columns, listed_rows, (*rest, *unnamed), bar="share")


def _kernels(record: TraceRecord, top: int) -> Table:
    columns = (Column("name", "kernel", "name"), Column("op", "op", "name", drop=3), *_measures(_time(record)))
    shown, cut = _cut(record.kernels, top)
    rows = tuple((row.name, row.op, row.occurrences, row.time_ms, row.self_ms, row.share) for row in shown)
    rest = (_sum(f"{len(cut)} more kernels", 1, cut),) if cut else ()
    return Table("Kernels", "kernel", columns, rows, rest, bar="share")


def _grouped(record: TraceRecord, title: str, by: By, key: Callable[[TraceOpRow], str], top: int) -> Table:
    groups: defaultdict[str, list[TraceOpRow]] = defaultdict(list)
    for op in record.ops:
        groups[key(op)].append(op)
    ranked = sorted(groups.items(), key=lambda item: (-sum(op.time_ms for op in item[1]), item[0]))
    columns = (Column(by, by, "name"), Column("ops", "ops", "count"), *_measures(_time(record)))
    shown, cut = _cut([(_sum(name, 0, ops)[0], len(ops), *_sum(name, 0, ops)[1:]) for name, ops in ranked], top)
    more = [op for name, *_ in cut for op in groups[str(name)]]
    rest = [_sum(f"{len(cut)} more", 1, more)] if cut else []
    return Table(title, by, columns, tuple(shown), (*rest, *_unnamed(record, 1)), bar="share")


def _scopes(record: TraceRecord, view: View) -> Table:
    """The largest scopes, each below the one that it lies in; what their own columns leave out is in the rest."""
    columns = (
        Column("path", "scope", "name"),
        Column("occurrences", "×", "count", drop=2),
        Column("forward_ms", "forward", "ms", drop=4),
        Column("backward_ms", "backward", "ms", drop=5),
        Column("other_ms", "other", "ms", drop=1),
        Column("total_ms", "total ms", "ms"),
        Column("total_share", "total", "share"),
        Column("own_ms", "own ms", "ms", drop=3),
        Column("share", "own", "share"),
    )
    within = [row for row in record.scopes if view.depth is None or row.depth <= view.depth]
    largest = sorted(within, key=lambda row: (-row.total_ms, row.depth))[: listed(view) or None]
    chosen = {row.path for row in largest}
    shown = [row for row in record.scopes if row.path in chosen]
    hidden = [row for row in record.scopes if row.path not in chosen]
    rows = tuple(tuple(getattr(row, column.key) for column in columns) for row in shown)
    return Table(
        "Name scopes",
        "layer",
        columns,
        rows,
        _outside(record, hidden),
        "total_share",
        tuple(row.depth for row in shown),
    )


def _outside(record: TraceRecord, hidden: Sequence[ScopeRow]) -> tuple[_Row, ...]:
    own = sum(row.own_ms for row in hidden)
    bare = [op for op in record.ops if not op.scope]
    parts = [(f"{len(hidden)} more scopes", own)] if hidden else []
    parts += [("(ops without a scope)", sum(op.time_ms for op in bare))] if bare else []
    parts += [(f"({row.what})", row.time_ms) for row in record.unnamed]
    blank = (None,) * 6
    return tuple((label, *blank, ms, ms / record.op_ms if record.op_ms else 0.0) for label, ms in parts)


def _time(record: TraceRecord) -> str:
    return "device ms" if record.where == "device" else "thread ms"


def _measures(time: str) -> tuple[Column, ...]:
    return (
        Column("occurrences", "×", "count"),
        Column("time_ms", time, "ms"),
        Column("self_ms", "self ms", "ms", drop=2, quiet=time == "device ms"),
        Column("share", "share", "share"),
    )


def _sum(label: str, blanks: int, rows: Iterable[object]) -> _Row:
    keys = ("occurrences", "time_ms", "self_ms", "share")
    rows = list(rows)
    return (label, *(None,) * blanks, *(sum(getattr(row, key) for row in rows) for key in keys))


def _unnamed(record: TraceRecord, blanks: int) -> tuple[_Row, ...]:
    return tuple(_sum(f"({row.what})", blanks, [row]) for row in record.unnamed)


def _cut(rows: Sequence[_T], top: int) -> tuple[Sequence[_T], Sequence[_T]]:
    at = top or len(rows)
    return rows[:at], rows[at:]


def _by_layer(record: TraceRecord, view: View) -> tuple[Table, ...]:
    top = BOTTLENECKS if view.top != 0 else 0
    scopes = (_scopes(record, view),) if record.scopes else ()
    kernels = (_kernels(record, top),) if record.kernels else ()
    ops = _ops(record, top, "op" if scopes else "layer")
    devices = (_devices(record, 8),)
    return (*scopes, ops, *kernels, *devices)


def _by_kernel(record: TraceRecord, view: View) -> tuple[Table, ...]:
    if not record.kernels:
        raise UsageError("this trace holds no events of devices, so no kernels", "see its ops with --by op")
    return (_kernels(record, listed(view)),)


_OTHER = "other or not told"


def _by_phase(record: TraceRecord, view: View) -> tuple[Table, ...]:
    if all(op.phase == "other" for op in record.ops):
        raise UsageError("no name in this trace tells forward from backward", "see its ops with --by op")
    names: dict[OpPhase, str] = {"forward": "forward", "backward": "backward", "other": _OTHER}
    return (_grouped(record, "Phases", "phase", lambda op: names[op.phase], 0),)


_TABLES: dict[By, Callable[[TraceRecord, View], tuple[Table, ...]]] = {
    "layer": _by_layer,
    "op": lambda record, view: (_ops(record, listed(view)), *_host_ops(record, listed(view))),
    "type": lambda record, view: (_grouped(record, "Op types", "type", lambda op: op.type, listed(view)),),
    "phase": _by_phase,
    "kernel": _by_kernel,
    "device": lambda record, view: (_devices(record, listed(view)),),
}
