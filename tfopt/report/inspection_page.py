"""The page of an inspected model: what a step costs in all, then layer by layer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise

from tfopt.errors import UsageError
from tfopt.records.cost import CostSource, LayerCost
from tfopt.records.inspection import CostTotals, InspectionRecord
from tfopt.report import units
from tfopt.report.memory import limit_phrases, parts, phrases
from tfopt.report.page import Column, Page, Table, Value
from tfopt.report.summary import input_phrase, place, subject
from tfopt.report.view import By, View, listed

__all__ = ["page"]


def page(record: InspectionRecord, view: View) -> Page:
    """What to show of `record`; UsageError where it has no rows of the kind that `view.by` asks for."""
    if view.by not in _TABLES:
        raise UsageError(
            f"an inspected model has no rows by {view.by}: no step ran", f"--by takes {', '.join(_TABLES)}"
        )
    title, *model = subject(record.model)
    return Page(
        title=title,
        answer=(*limit_phrases(record.limit), *_answer(record), *phrases(record.memory)[:1]),
        facts=(
            tuple(model),
            _circumstances(record),
            tuple(input_phrase(found) for found in record.run.inputs),
            _where(record),
        ),
        tables=tuple(_TABLES[view.by](record, view)),
        notes=record.notes,
        tone="alarm" if record.limit is not None and record.limit.batch_size is None else "good",
    )


def _answer(record: InspectionRecord) -> tuple[str, ...]:
    totals, batch = record.totals, record.run.batch_size
    training = record.run.mode == "train"
    return (
        f"{_flops(totals.forward_flops / batch)} forward per example",
        f"{units.count(totals.macs / batch)} MACs",
        f"{_flops(totals.forward_flops)} forward, batch of {batch}",
        *([f"training step {_flops(totals.flops)}"] if training else []),
        f"weights {units.size(totals.weight_bytes)}",
        *([f"forward outputs {units.size(totals.activation_bytes)}"] if totals.activation_bytes else []),
    )


def _where(record: InspectionRecord) -> tuple[str, ...]:
    """The layer at the peak of memory."""
    layer = record.memory.peak_layer if record.memory is not None else None
    return () if layer is None else (f"most memory at {layer}",)


def _flops(value: float) -> str:
    number, _, unit = units.count(round(value)).partition(" ")
    return f"{number} {unit}FLOP"


def _circumstances(record: InspectionRecord) -> tuple[str, ...]:
    run = record.run
    return (
        f"{run.mode} step",
        *([place(run.device, run.threads)] if run.device else []),
        run.precision,
        "XLA" if run.xla else "graph",
        f"batch {run.batch_size}",
        *([f"seed {run.seed}"] if run.seed else []),
        *([f"loss {run.loss}"] if run.loss else []),
        *([f"optimizer {run.optimizer}"] if run.optimizer else []),
        f"TensorFlow {run.tensorflow}, Keras {run.keras}",
        "nothing was run" if record.limit is None else "only batches for the limit were run",
    )


_Measure = tuple[Column, Callable[[CostTotals], Value]]
# What people see of a sum, and what else programs get of it.
_MEASURES: tuple[_Measure, ...] = (
    (Column("params", "params", "flops", drop=3), lambda sums: sums.params),
    (Column("flops", "FLOPs", "flops"), lambda sums: sums.flops),
    (Column("macs", "MACs", "flops", drop=2), lambda sums: sums.macs),
    (Column("moved_bytes", "moved", "bytes", drop=4), lambda sums: sums.moved_bytes),
    (Column("flops_per_byte", "FLOP/B", "per_byte", drop=3), lambda sums: _intensity(sums)),
    (Column("activation_bytes", "forward outputs", "bytes", drop=3), lambda sums: sums.activation_bytes),
)
_QUIET = tuple(name for name in CostTotals.__struct_fields__ if name not in ("params", "macs", "activation_bytes"))


def _intensity(sums: CostTotals) -> float | None:
    return sums.flops / sums.moved_bytes if sums.moved_bytes else None


def _columns(*first: Column) -> tuple[Column, ...]:
    quiet = (Column(name, name, "count", quiet=True) for name in _QUIET)
    return (*first, *(column for column, _ in _MEASURES), Column("share", "of FLOPs", "share"), *quiet)


def _values(record: InspectionRecord, sums: CostTotals) -> tuple[Value, ...]:
    share = sums.flops / record.totals.flops if record.totals.flops else 0.0
    return (*(value(sums) for _, value in _MEASURES), share, *(getattr(sums, name) for name in _QUIET))


def _layers(record: InspectionRecord, view: View) -> Iterator[Table]:
    """The largest layers, each with all that is inside it; what their own columns leave out is in the rest."""
    inside = _subtrees(record.layers)
    within = [row for row in record.layers if view.depth is None or row.depth <= view.depth]
    largest = sorted(within, key=lambda row: (-inside[row.path].flops, -inside[row.path].params, row.depth))
    chosen = {row.path for row in largest[: listed(view) or None]}
    shown = [row for row in record.layers if row.path in chosen]
    hidden = [row for row in record.layers if row.path not in chosen]
    columns = _columns(
        Column("path", "layer", "name"),
        Column("type", "type", "name", drop=5),
        Column("calls", "×", "count", drop=2, quiet=all(row.calls <= 1 for row in shown)),
        Column("output_shape", "output", "text", drop=1),
        Column("remark", "", "text", drop=4),
        Column("source", "counted by", "text", quiet=True),
        Column("detail", "not counted", "name", quiet=True),
    )
    rows = tuple((*_facts(row), *_values(record, inside[row.path])) for row in shown)
    more = [(f"{len(hidden):,} more", *[None] * 6, *_values(record, CostTotals.of(hidden)))]
    yield Table(
        "Layers", "layer", columns, rows, tuple(more if hidden else ()), "share", tuple(row.depth for row in shown)
    )


_REMARKS: dict[CostSource, str | None] = {"formula": None, "ops": "from its ops", "none": "not called"}


def _facts(row: LayerCost) -> tuple[Value, ...]:
    return row.path, row.type, row.calls, _shape(row.output_shape), _REMARKS[row.source], row.source, row.detail


def _shape(shape: tuple[int, ...] | None) -> str | None:
    return None if shape is None else "×".join(map(str, shape)) or "scalar"


def _subtrees(layers: tuple[LayerCost, ...]) -> dict[str, CostTotals]:
    """The sums over each layer and those inside it, which follow it at greater depths."""
    sums: dict[str, CostTotals] = {}
    open_rows: list[list[LayerCost]] = []
    for row, after in pairwise((*layers, None)):
        assert row is not None
        open_rows.append([])
        for rows in open_rows:
            rows.append(row)
        while open_rows and (after is None or open_rows[-1][0].depth >= after.depth):
            rows = open_rows.pop()
            sums[rows[0].path] = CostTotals.of(rows)
    return sums


def _types(record: InspectionRecord, view: View) -> Iterator[Table]:
    groups: defaultdict[str, list[LayerCost]] = defaultdict(list)
    for row in record.layers:
        groups[row.type].append(row)
    ranked = sorted(groups.items(), key=lambda item: (-CostTotals.of(item[1]).flops, item[0]))
    top = listed(view) or len(ranked)
    columns = _columns(Column("type", "type", "name"), Column("layers", "layers", "count"))
    rows = tuple((name, len(group), *_values(record, CostTotals.of(group))) for name, group in ranked[:top])
    cut = [row for _, group in ranked[top:] for row in group]
    rest = ((f"{len(ranked) - top:,} more types", len(cut), *_values(record, CostTotals.of(cut))),) if cut else ()
    yield Table("Layer types", "type", columns, rows, rest, "share")


def _phases(record: InspectionRecord, view: View) -> Iterator[Table]:
    totals = record.totals
    columns = (
        Column("phase", "phase", "text"),
        Column("flops", "FLOPs", "flops"),
        Column("moved_bytes", "moved", "bytes"),
        Column("flops_per_byte", "FLOP/B", "per_byte"),
        Column("share", "of FLOPs", "share"),
    )
    names = ("forward", "backward", "optimizer") if record.run.mode == "train" else ("forward",)
    amounts = [(name, getattr(totals, f"{name}_flops"), getattr(totals, f"{name}_bytes")) for name in names]
    rows: Iterable[tuple[Value, ...]] = (
        (name, flops, moved, flops / moved if moved else None, flops / totals.flops if totals.flops else 0.0)
        for name, flops, moved in amounts
    )
    yield Table("Phases", "phase", columns, tuple(rows), bar="share")


def _memory(record: InspectionRecord) -> Iterator[Table]:
    memory = record.memory
    if memory is None or not memory.estimate_bytes:
        return
    columns = (Column("part", "part", "text"), Column("bytes", "size", "bytes"), Column("share", "share", "share"))
    rows = tuple((name, size, size / memory.estimate_bytes) for name, size in parts(memory))
    yield Table("Memory at the peak of a step", "memory", columns, rows, bar="share")


def _overview(record: InspectionRecord, view: View) -> Iterator[Table]:
    if record.run.mode == "train":
        yield from _phases(record, view)
    yield from _memory(record)
    yield from _layers(record, view)


_TABLES: dict[By, Callable[[InspectionRecord, View], Iterator[Table]]] = {
    "layer": _overview,
    "type": _types,
    "phase": _phases,
}
