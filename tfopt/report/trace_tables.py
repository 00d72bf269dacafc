"""The tables of a foreign trace: devices, kernels, ops, groups of ops, and the tree of name scopes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from tfopt.records.base import Record
from tfopt.records.trace import TraceOpRow, TraceRecord, UnnamedRow
from tfopt.report.page import Column, Table, Value
from tfopt.report.view import By, View, listed

__all__ = ["device_table", "group_table", "host_op_tables", "kernel_table", "op_table", "scope_table"]

_Row = tuple[Value, ...]
_Columns = tuple[Column, ...]
# Keys of the columns that add up over rows.
_ADDS_UP = frozenset(
    {"occurrences", "time_ms", "self_ms", "share", "streams", "events", "span_ms", "busy_ms", "idle_ms", "op_ms"}
)


def device_table(record: TraceRecord, top: int) -> Table:
    """Each device (or host): its span, how much of it was busy and how much idle."""
    overlap = any(device.op_ms > 1.001 * device.busy_ms for device in record.devices)
    columns = (
        Column("name", "device", "name"),
        Column("host", "host", "name", drop=3, quiet=len(record.source.hosts) == 1),
        Column("streams", "streams" if record.where == "device" else "threads", "count", drop=1),
        Column("events", "events", "count", drop=2),
        Column("span_ms", "span ms", "ms"),
        Column("busy_ms", "busy ms", "ms"),
        Column("idle_ms", "idle ms", "ms", drop=4),
        Column("op_ms", "in sum ms", "ms", drop=3, quiet=not overlap),
        Column("idle_share", "idle", "share"),
    )
    shown, cut = record.devices[: top or None], record.devices[top or len(record.devices) :]
    rest = (_row(columns, f"{len(cut):,} more", cut),) if cut else ()
    title = "Devices" if record.where == "device" else "Hosts"
    return Table(title, "device", columns, _rows(columns, shown), rest)


def op_table(record: TraceRecord, top: int, by: By = "op") -> Table:
    """The ops by time, and what joins to none."""
    return _ranked("Ops", by, _op_columns(record.ops, _time(record)), record.ops, top, record.unnamed)


def host_op_tables(record: TraceRecord, top: int) -> tuple[Table, ...]:
    """The ops that ran on the hosts beside the devices, if any did."""
    if not record.host_ops:
        return ()
    return (_ranked("Host ops", "op", _op_columns(record.host_ops, "thread ms"), record.host_ops, top),)


def kernel_table(record: TraceRecord, top: int) -> Table:
    """The kernels by time, each with the op that it worked for longest."""
    columns = (Column("name", "kernel", "name"), Column("op", "op", "name", drop=3), *_measures(_time(record)))
    return _ranked("Kernels", "kernel", columns, record.kernels, top)


def group_table(record: TraceRecord, title: str, by: By, key: Callable[[TraceOpRow], str], top: int) -> Table:
    """The ops added up by `key`, largest first."""
    groups: defaultdict[str, list[TraceOpRow]] = defaultdict(list)
    for op in record.ops:
        groups[key(op)].append(op)
    ranked = sorted(groups.items(), key=lambda item: (-sum(op.time_ms for op in item[1]), item[0]))
    columns = (Column(by, by, "name"), Column("ops", "ops", "count"), *_measures(_time(record)))
    at = top or len(ranked)
    rows = tuple((name, len(ops), *_row(columns, name, ops)[2:]) for name, ops in ranked[:at])
    cut = [op for _, ops in ranked[at:] for op in ops]
    more = (_row(columns, f"{len(ranked) - at:,} more", cut),) if cut else ()
    return Table(title, by, columns, rows, (*more, *_unnamed(columns, record.unnamed)), bar="share")


def scope_table(record: TraceRecord, view: View) -> Table:
    """The largest scopes, each below the one that it lies in; what their own columns leave out is in the rest."""
    columns = (
        Column("path", "scope", "name"),
        Column("occurrences", "×", "count", drop=2),
        Column("forward_ms", "forward", "ms", drop=5),
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
    bare = [op for op in record.ops if not op.scope]

    def outside(label: str, own_ms: float) -> _Row:
        known: dict[str, Value] = {
            "path": label,
            "own_ms": own_ms,
            "share": own_ms / record.op_ms if record.op_ms else 0.0,
        }
        return tuple(known.get(column.key) for column in columns)

    rest = [outside(f"{len(hidden):,} more scopes", sum(row.own_ms for row in hidden))] if hidden else []
    rest += [outside("(ops without a scope)", sum(op.time_ms for op in bare))] if bare else []
    rest += [outside(f"({row.what})", row.time_ms) for row in record.unnamed]
    depths = tuple(row.depth for row in shown)
    return Table("Name scopes", "layer", columns, _rows(columns, shown), tuple(rest), "total_share", depths)


def _op_columns(ops: Sequence[TraceOpRow], time: str) -> _Columns:
    return (
        Column("name", "op", "name"),
        Column("type", "type", "name", drop=3),
        Column("joined", "named by", "text", quiet=True),
        Column("phase", "phase", "text", drop=5, quiet=all(op.phase == "other" for op in ops)),
        *_measures(time),
    )


def _measures(time: str) -> _Columns:
    return (
        Column("occurrences", "×", "count"),
        Column("time_ms", time, "ms"),
        Column("self_ms", "self ms", "ms", drop=2, quiet=time == "device ms"),
        Column("share", "share", "share"),
    )


def _time(record: TraceRecord) -> str:
    return "device ms" if record.where == "device" else "thread ms"


def _ranked(
    title: str, by: By, columns: _Columns, rows: Sequence[Record], top: int, unnamed: Sequence[UnnamedRow] = ()
) -> Table:
    """The first `top` rows, the sum of the others, and what has no name."""
    at = top or len(rows)
    more = (_row(columns, f"{len(rows) - at:,} more {title.lower()}", rows[at:]),) if rows[at:] else ()
    return Table(title, by, columns, _rows(columns, rows[:at]), (*more, *_unnamed(columns, unnamed)), bar="share")


def _rows(columns: _Columns, rows: Iterable[Record]) -> tuple[_Row, ...]:
    return tuple(tuple(getattr(row, column.key) for column in columns) for row in rows)


def _unnamed(columns: _Columns, rows: Iterable[UnnamedRow]) -> tuple[_Row, ...]:
    return tuple(_row(columns, f"({row.what})", [row]) for row in rows)


def _row(columns: _Columns, label: str, rows: Sequence[Record]) -> _Row:
    """One row for several: what adds up, added up."""
    sums = (sum(getattr(row, c.key) for row in rows) if c.key in _ADDS_UP else None for c in columns[1:])
    return (label, *sums)
