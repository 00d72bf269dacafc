"""The page of a pruning: what was removed and what remains, what that did to the result, the file and the time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tfopt.records.comparison import Drift
from tfopt.records.pruning import PrunedVariable, PruningRecord, PruningRun
from tfopt.report import before_after, units
from tfopt.report.page import Column, Kind, Page, Table, Value
from tfopt.report.summary import place, subject
from tfopt.report.values import shown
from tfopt.report.view import View, listed
from tfopt.wording import counted
from tfopt.wording import listed as listed_names

__all__ = ["page"]

_FEW = 0.01  # a weight of which less than this is left
_TOLD = 0.9  # the share that the sensitivity of the first line is told at
_FAR_OFF = 0.95  # a threshold that removes more than this was hardly meant
_VERDICTS = {"SAME": "the same", "INCONCLUSIVE": "no difference that is sure"}
_CURVE = "▁▂▃▄▅▆▇█"


def page(record: PruningRecord, view: View) -> Page:
    """What to show of `record`."""
    title, *model = subject(record.model)
    tables = (
        *before_after.tables(record),
        *_sensitivity(record),
        _weights(record, view),
        *_left_alone(record),
        *_epochs(record),
    )
    return Page(
        title=title,
        answer=_answer(record),
        tone="alarm" if record.collapsed else "good",
        sentences=tuple(_sentences(record)),
        facts=(tuple(model), tuple(_wishes(record.run)), tuple(_circumstances(record.run))),
        tables=tables,
        notes=record.notes,
    )


def _nothing_asked(run: PruningRun) -> bool:
    return run.threshold is None and run.sparsity is None and run.nm is None


def _answer(record: PruningRecord) -> tuple[str, ...]:
    size, removed = sum(row.size for row in record.variables), sum(row.removed for row in record.variables)
    if _nothing_asked(record.run):
        return (_bearing(record) or f"sensitivity of {counted(len(record.variables), 'weight')}", "nothing was removed")
    verb, whole, left = "removed" if record.output is not None else "would remove", record.before.params, size - removed
    return (
        f"{verb} {_share(removed, size)} of {units.count(size)} prunable weights, {_share(left, size)} remain",
        f"{_share(removed, whole)} of the whole model's {units.count(whole)}, {_share(whole - removed, whole)} remain",
        *(before_after.told(metric) for metric in before_after.metrics(record)[:1]),
    )


def _share(part: int, whole: int) -> str:
    """A percentage that is `0 %` and `100 %` only where it is nothing and everything."""
    share = part / whole if whole else 0.0
    if part == 0 or part == whole:
        return f"{share:.0%}".replace("%", " %")
    return ">99.9 %" if share >= 0.9995 else units.percent(share)


def _sentences(record: PruningRecord) -> Iterator[str]:
    run = record.run
    if record.collapsed:
        yield f"The network collapses: {'; '.join(record.collapsed)}."
    if not _nothing_asked(run):
        yield _written(record)
    yield from _result(record)
    if record.after is not None:
        yield _speed(record)
    yield from _suggestions(record)
    for reason in dict.fromkeys(row.dense for row in record.variables if row.dense):
        yield f"Left dense: {listed_names([row.path for row in record.variables if row.dense == reason])}: {reason}."


def _written(record: PruningRecord) -> str:
    if record.output is not None:
        return f"Written to {record.output}; loaded again, its weights, zeros and outputs are the same."
    if record.run.dry_run:
        return "A dry run: nothing was trained or written."
    return "Nothing was written; --force writes it all the same."


def _result(record: PruningRecord) -> Iterator[str]:
    drift = record.drift
    if drift is None:
        return
    if drift.failure:
        yield f"What it does to the result is not known: {drift.failure}."
    elif not drift.metrics:
        data = record.run.eval_data or record.run.data
        why = "there are no data with targets" if data == "synthetic" else f"none could be measured on {data}"
        yield f"What it does to the metric is not known: {why}." + _outputs(record, drift)


def _outputs(record: PruningRecord, drift: Drift) -> str:
    """How far outputs are apart, of several the first."""
    drawn = (record.run.eval_data or record.run.data) == "synthetic"
    examples = counted(drift.batch_size, "drawn example" if drawn else "example")
    for output in drift.outputs[:1]:
        if output.agreement is not None:
            return f" On {examples} {units.percent(output.agreement)} of decisions agree."
        if output.cosine is not None:
            return f" On {examples} the outputs' cosine is {units.cosine(output.cosine)}."
    return ""


def _speed(record: PruningRecord) -> str:
    smaller = "" if record.run.compress else ", and without --compress no file smaller"
    plain = f"Masks alone make nothing faster{smaller}: zeros are computed with like any number."
    duel = record.latency
    if duel is None:
        return plain
    if duel.wall is None:
        return f"{plain} Not measured: {duel.reason}." if duel.reason else plain
    return f"{plain} Measured: {_VERDICTS.get(duel.verdict, duel.verdict.lower())}."


def _suggestions(record: PruningRecord) -> Iterator[str]:
    size, removed = sum(row.size for row in record.variables), sum(row.removed for row in record.variables)
    if not record.suggestions or not size or 1 - _FAR_OFF < removed / size < _FAR_OFF:
        return
    what = "everything" if removed == size else "nothing" if not removed else f"{_share(removed, size)}"
    ways = ", ".join(f"{each.threshold:.4g} would remove {units.percent(each.sparsity)}" for each in record.suggestions)
    yield f"A threshold of {record.run.threshold:g} removes {what}; {ways}."


def _wishes(run: PruningRun) -> Iterator[str]:
    if run.threshold is not None:
        unit = {"absolute": "", "std": " standard deviations", "max": " of the largest", "quantile": " quantile"}
        yield f"threshold {run.threshold:g}{unit.get(run.threshold_mode or '', '')}"
    if run.sparsity is not None:
        yield f"sparsity {units.percent(run.sparsity)}"
    if run.nm is not None:
        yield f"{run.nm} of consecutive input channels"
    yield f"criterion {run.criterion}" + (f" on {counted(run.samples, 'sample')}" if run.samples else "")
    if run.scope:
        yield f"scope {run.scope}"
    if run.dry_run:  # which does nothing of what follows
        return
    if run.finetune:
        yield f"{run.schedule}, {counted(run.steps, 'step')}" if run.steps > 1 else run.schedule
        yield f"{counted(run.finetune, 'epoch')} of fine-tuning"
    if run.recalibrate_bn:
        yield "BatchNormalization recalibrated"


def _circumstances(run: PruningRun) -> Iterator[str]:
    yield place(run.device, run.threads)
    yield f"{run.data} data" if run.data == "synthetic" else run.data
    if run.eval_data and run.eval_data != run.data:
        yield f"metric on {run.eval_data}"
    if run.loss:
        yield f"loss {run.loss}"
    if run.seed:
        yield f"seed {run.seed}"
    yield f"took {units.seconds(run.seconds)}"
    yield f"TensorFlow {run.tensorflow}, Keras {run.keras}"


def _weights(record: PruningRecord, view: View) -> Table:
    rows = record.variables
    top = listed(view) or len(rows)
    chosen = {id(row) for row in sorted(rows, key=_rank)[:top]}
    shown = [row for row in rows if id(row) in chosen]
    hidden = [row for row in rows if id(row) not in chosen]
    columns = (
        Column("path", "", "name"),
        Column("type", "type", "name", drop=1),
        Column("shape", "shape", "text", drop=3),
        Column("size", "size", "flops", drop=5),
        Column("kept", "kept", "count", drop=6),
        Column("removed_share", "removed", "share"),
        Column("remark", "", "text"),
        Column("layer", "layer", "name", quiet=True),
        Column("removed", "removed", "count", quiet=True),
        Column("zeros_before", "zeros before", "count", drop=2),
        Column("zeros", "zeros after", "count", quiet=True),
    )
    return Table(
        "Prunable weights",
        "layer",
        columns,
        tuple(_weight(row) for row in shown),
        (_rest(hidden, len(columns)),) if hidden else (),
        "removed_share",
    )


def _rank(row: PrunedVariable) -> tuple[bool, int]:
    """Those with something to say first, then the largest."""
    return not _remark(row), -row.size


def _weight(row: PrunedVariable) -> tuple[Value, ...]:
    return (
        row.path,
        row.type,
        "×".join(map(str, row.shape)),
        row.size,
        row.size - row.removed,
        row.removed / row.size if row.size else None,
        _remark(row),
        row.layer,
        row.removed,
        row.zeros_before,
        row.zeros,
    )


def _rest(rows: Sequence[PrunedVariable], width: int) -> tuple[Value, ...]:
    size, removed = sum(row.size for row in rows), sum(row.removed for row in rows)
    cells = (f"{len(rows):,} more", None, None, size, size - removed, removed / size if size else None)
    return (*cells, *[None] * (width - len(cells)))


def _remark(row: PrunedVariable) -> str | None:
    if row.dense:
        return "left dense"
    left = row.size - row.removed
    return (
        "nothing left" if not left else f"under {_FEW:.0%} left".replace("%", " %") if left < _FEW * row.size else None
    )


def _left_alone(record: PruningRecord) -> Iterator[Table]:
    if record.left_alone:
        columns = (
            Column("reason", "", "text"),
            Column("variables", "variables", "count"),
            Column("size", "size", "flops"),
            Column("zeros", "zeros", "count", drop=1),
        )
        rows = tuple((each.reason, each.variables, each.size, each.zeros) for each in record.left_alone)
        yield Table("Left alone", "type", columns, rows)


def _epochs(record: PruningRecord) -> Iterator[Table]:
    if record.epochs:
        names = list(dict.fromkeys(name for epoch in record.epochs for name in epoch.metrics))
        columns = (
            Column("epoch", "", "text"),
            Column("sparsity", "removed", "share"),
            Column("loss", "loss", "scientific"),
            *(Column(name, name, _kind(name), drop=at) for at, name in enumerate(names, 1)),
        )
        rows = tuple(
            (f"epoch {each.number}", each.sparsity, each.loss, *(each.metrics.get(name) for name in names))
            for each in record.epochs
        )
        yield Table("Fine-tuning", "phase", columns, rows)


def _sensitivity(record: PruningRecord) -> Iterator[Table]:
    """One row per weight, the metric at each sparsity: the curve's scale is that of the whole table."""
    points = record.sensitivity
    if not points:
        return
    sparsities = sorted({point.sparsity for point in points})
    known = [point.value for point in points if point.value is not None]
    low, high = min(known, default=0.0), max(known, default=0.0)
    kind = _kind(record.sensitivity_metric)
    columns = (
        Column("path", "", "name"),
        *(Column(f"at_{each:g}", f"{100 * each:g} %", kind, drop=at % 2) for at, each in enumerate(sparsities)),
        Column("curve", "", "text"),
    )
    rows = []
    for path in dict.fromkeys(point.path for point in points):
        values = {point.sparsity: point.value for point in points if point.path == path}
        row = [values.get(each) for each in sparsities]
        rows.append((path, *row, "".join(_height(value, low, high) for value in row)))
    caption = f"{record.sensitivity_metric} with this share of one weight removed and all else as it was"
    yield Table("Sensitivity", "layer" if _nothing_asked(record.run) else "op", columns, tuple(rows), caption=caption)


def _bearing(record: PruningRecord) -> str | None:
    """Which weight bears being pruned far least and which most; None where there are no two, or nothing is known."""
    share = max((point.sparsity for point in record.sensitivity if point.sparsity <= _TOLD), default=0.0)
    values = {point.path: point.value for point in record.sensitivity if point.sparsity == share}
    known = {path: value for path, value in values.items() if value is not None}
    if len(known) < 2 or len(known) < len(values):
        return None
    kind = _kind(record.sensitivity_metric)
    low, high = min(known, key=known.__getitem__), max(known, key=known.__getitem__)
    least, most = (low, high) if kind == "share" else (high, low)
    name = record.sensitivity_metric.partition(" on ")[0]
    return (
        f"without {units.percent(share)} of {least} the {name} is {shown(known[least], kind)}, "
        f"of {most} {shown(known[most], kind)}"
    )


def _kind(metric: str) -> Kind:
    return "share" if "accuracy" in metric else "scientific"


def _height(value: float | None, low: float, high: float) -> str:
    if value is None:
        return "?"
    return _CURVE[round((value - low) / (high - low) * (len(_CURVE) - 1))] if high > low else _CURVE[-1]
