"""A record as CSV: one flat table with a header, chosen by `view.by`; always every row, so that shares sum to 1.

Columns are the record's own fields (units in the names, shares as fractions of 1). Names are defused for spreadsheets
(`tfopt.report.escape.csv_cell`, which can be undone).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from tfopt.records.profile import LayerRow, OpRow, PhaseRow, ProfileRecord
from tfopt.report.escape import csv_cell, csv_list
from tfopt.report.rows import idle, rank_ops, rank_types
from tfopt.report.view import By, View

__all__ = ["render", "text"]

_Row = tuple[Any, ...]
# How the time of an op is split among layers is a table of its own: it is in the JSON.
_OP_FIELDS = tuple(name for name in OpRow.__struct_fields__ if name != "charges")


def render(record: ProfileRecord, view: View) -> str:
    """The table of `record` that `view.by` names."""
    header, rows = _TABLES[view.by]
    return text(header, rows(record))


def text(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A CSV file of `rows` under `header`."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return file.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, tuple):
        return csv_list(value)
    return csv_cell(value) if isinstance(value, str) else value


def _layers(record: ProfileRecord) -> Iterable[_Row]:
    return (msgspec.structs.astuple(row) for row in record.layers)


def _phases(record: ProfileRecord) -> Iterable[_Row]:
    return (msgspec.structs.astuple(row) for row in record.phases)


def _ops(record: ProfileRecord) -> Iterable[_Row]:
    """Ops by self time; the idle part of the step is the last row."""
    ranked = rank_ops(record.ops, record.layers, 0).lines
    yield from ((*(getattr(line.op, name) for name in _OP_FIELDS), line.cumulative) for line in ranked)
    rest = idle(record)
    yield "(idle)", "(idle)", "(idle)", "idle", 0.0, rest.self_ms, rest.self_ms, rest.share, "none", (), "", 1.0


def _types(record: ProfileRecord) -> Iterable[_Row]:
    for line in rank_types(record.ops, 0).lines:
        yield line.type, line.ops, line.per_step, line.self_ms, line.share, line.cumulative
    rest = idle(record)
    yield "(idle)", 0, 0.0, rest.self_ms, rest.share, 1.0


_TABLES: dict[By, tuple[tuple[str, ...], Callable[[ProfileRecord], Iterable[_Row]]]] = {
    "layer": (LayerRow.__struct_fields__, _layers),
    "op": ((*_OP_FIELDS, "cumulative"), _ops),
    "type": (("type", "ops", "per_step", "self_ms", "share", "cumulative"), _types),
    "phase": (PhaseRow.__struct_fields__, _phases),
}
