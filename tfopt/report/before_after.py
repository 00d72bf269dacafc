"""What a pruning changed, as a table: metric, size and time before and after."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tfopt.records.comparison import MetricDrift
from tfopt.records.pruning import PruningRecord
from tfopt.report import units
from tfopt.report.page import Column, Table
from tfopt.wording import counted, listed

__all__ = ["metrics", "tables", "told"]

_ACCURACY = "accuracy"

Row = tuple[str, str | None, str | None, str | None, str | None]


def tables(record: PruningRecord) -> Iterator[Table]:
    """One, where a model was written."""
    if record.after is None:
        return
    columns = (  # of cells in many units: texts, set as numbers are
        Column("what", "", "text"),
        Column("before", "before", "count"),
        Column("after", "after", "count"),
        Column("change", "change", "count"),
        Column("interval", "95 % interval", "count"),
    )
    rows = (*_metrics(record), *_sizes(record), *_time(record))
    yield Table("Before and after", "", columns, rows, caption=_caption(record))


def metrics(record: PruningRecord) -> tuple[MetricDrift, ...]:
    """What was measured on samples, accuracies first."""
    found = record.drift.metrics if record.drift is not None else ()
    return tuple(sorted(found, key=lambda each: each.name != _ACCURACY))


def told(metric: MetricDrift) -> str:
    """A metric in a phrase."""
    before, after = (_value(metric)(value) for value in (metric.reference, metric.variant))
    return f"{_kind(metric)} {before} → {after}"


def _caption(record: PruningRecord) -> str:
    """What the metrics were measured on."""
    found = metrics(record)
    if not found:
        return ""
    samples = " and ".join(dict.fromkeys(counted(each.samples, "sample") for each in found))
    said = [f"on the same {samples} of {record.run.eval_data or record.run.data}"]
    odd = max(each.nonfinite for each in found)
    said += [f"{odd:,} of them not finite"] * bool(odd)
    losses = dict.fromkeys(each.name for each in found if each.name != _ACCURACY)
    said += [f"loss: {listed(list(losses))}"] * bool(losses)
    return "; ".join(said)


def _metrics(record: PruningRecord) -> Iterator[Row]:
    found = metrics(record)
    several = len({each.output for each in found}) > 1
    for metric in found:
        accuracy = metric.name == _ACCURACY
        change = None if metric.difference is None else _change(metric, metric.difference)
        interval = (
            None
            if metric.low is None or metric.high is None
            else f"{_change(metric, metric.low)} to {_change(metric, metric.high)}"
        )
        yield (
            f"{_kind(metric)} of {metric.output}" if several else _kind(metric),
            _value(metric)(metric.reference),
            _value(metric)(metric.variant),
            f"{change} points" if change and accuracy else change,
            interval,
        )


def _kind(metric: MetricDrift) -> str:
    return _ACCURACY if metric.name == _ACCURACY else "loss"


def _value(metric: MetricDrift) -> Callable[[float | None], str]:
    known = (lambda value: f"{100 * value:.2f} %") if metric.name == _ACCURACY else units.scientific
    return lambda value: "not finite" if value is None else known(value)


def _change(metric: MetricDrift, value: float) -> str:
    size = f"{100 * abs(value):.2f}" if metric.name == _ACCURACY else units.scientific(abs(value))
    return ("−" if value < 0 else "+") + size


def _sizes(record: PruningRecord) -> Iterator[Row]:
    before, after = record.before, record.after
    if after is None:
        return
    yield (
        "parameters not zero",
        f"{before.nonzero:,}",
        f"{after.nonzero:,}",
        _ratio(before.nonzero, after.nonzero),
        None,
    )
    for what, old, new in (
        ("file", before.file_bytes, after.file_bytes),
        ("file, deflated", before.deflated_bytes, after.deflated_bytes),
    ):
        if old is not None and new is not None:
            yield what, units.size(old), units.size(new), _ratio(old, new), None


def _ratio(before: int, after: int) -> str | None:
    return f"{after / before:.2f} ×" if before else None


def _time(record: PruningRecord) -> Iterator[Row]:
    """The ratio is of pairs that ran side by side, not of the times beside it."""
    wall = record.latency.wall if record.latency is not None else None
    if wall is None:
        return
    each = {timing.label: timing.wall_ms / timing.examples_per_step for timing in record.timings if timing.wall_ms}
    old, new = (units.duration(each[label]) if label in each else None for label in ("before", "after"))
    sure = None if wall.low is None or wall.high is None else f"{wall.low:.2f} to {wall.high:.2f}"
    yield "time per example", old, new, f"{wall.ratio:.2f} ×", sure
