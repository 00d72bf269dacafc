"""A comparison as a page: the verdict in sentences, the ranking, what starting costs, what is computed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tfopt.records.comparison import Arm, BreakEven, ComparisonRecord, Drift, GradientDrift, OutputDrift
from tfopt.records.duel import Interval
from tfopt.report import units
from tfopt.report.changes import name_of
from tfopt.report.page import Column, Page, Table, Value
from tfopt.report.view import View, listed
from tfopt.wording import counted

__all__ = ["page"]

_ARM = Column("label", "variant", "name")


def page(record: ComparisonRecord, view: View) -> Page:
    """What to show of `record`."""
    answer, *sentences = record.verdict
    models = list(dict.fromkeys(arm.model for arm in record.arms))
    names = [name_of(model) for model in models]
    return Page(
        title=" against ".join(names if len(set(names)) == len(names) else models),
        answer=(answer,),
        sentences=tuple(sentences),
        facts=tuple(_facts(record)),
        tables=(
            _ranking(record),
            *_starts(record),
            *_drifts(record.drifts),
            *_metrics(record.drifts),
            *_layers(record.drifts, listed(view)),
        ),
        notes=record.notes,
    )


def _facts(record: ComparisonRecord) -> Iterator[tuple[str, ...]]:
    run = record.run
    step = {"train": "train step", "infer": "forward pass"}[run.mode]
    yield step, f"{run.device}, {run.threads} threads", f"{run.data} data", f"TensorFlow {run.tensorflow}"
    sure = (
        ""
        if record.resolvable is None
        else f"smallest change found here 19 times of 20: {units.percent(record.resolvable)}"
    )
    yield tuple(filter(None, (sure, f"tolerance {units.percent(run.tolerance)}", f"took {units.seconds(run.seconds)}")))


def _ranking(record: ComparisonRecord) -> Table:
    """By wall time per example; the ratios are of pairs that ran side by side, not of the times beside them."""
    one_batch = len({arm.timing.examples_per_step for arm in record.arms if arm.timing and arm.timing.blocks}) <= 1
    columns = (
        _ARM,
        Column("rank", "rank", "rank"),
        Column("wall_ms", "ms/step", "ms", drop=2),
        Column("wall_ms_per_example", "ms/example", "ms", drop=4, quiet=one_batch),
        Column("wall_ratio", "wall", "ratio"),
        Column("interval", "95 % interval", "text", drop=5),
        Column("wall_low", "low", "ratio", quiet=True),
        Column("wall_high", "high", "ratio", quiet=True),
        Column("cpu_ratio", "CPU", "ratio", drop=6),
        Column("cpu_ms", "CPU ms/step", "ms", quiet=True),
        Column("processes", "processes", "count", drop=1),
        Column("resolvable", "resolvable", "share", quiet=True),
        Column("verdict", "", "text"),
    )
    rows = tuple(_ranked(arm, record.baseline) for arm in record.arms)
    return Table("Ranking", "layer", columns, rows)


def _ranked(arm: Arm, baseline: str) -> tuple[Value, ...]:
    timing, result = arm.timing, arm.result
    wall_ms = timing.wall_ms if timing is not None else None
    wall, cpu = (result.wall, result.cpu) if result is not None else (None, None)
    return (
        arm.label,
        arm.rank,
        wall_ms,
        wall_ms / timing.examples_per_step if timing is not None and wall_ms is not None else None,
        wall.ratio if wall is not None else 1.0 if arm.label == baseline else None,
        _interval(wall),
        wall.low if wall is not None else None,
        wall.high if wall is not None else None,
        cpu.ratio if cpu is not None else 1.0 if arm.label == baseline else None,
        timing.cpu_ms if timing is not None else None,
        wall.processes if wall is not None else None,
        result.resolvable if result is not None else None,
        "baseline" if result is None else result.verdict.lower(),
    )


def _interval(wall: Interval | None) -> str:
    if wall is None or wall.low is None or wall.high is None:
        return ""
    return f"{wall.low:.2f} to {wall.high:.2f}"


def _starts(record: ComparisonRecord) -> Iterator[Table]:
    columns = (
        _ARM,
        Column("prepare_s", "loading s", "seconds", drop=1),
        Column("compile_s", "first step s", "seconds"),
        Column("extra_s", "more than baseline", "change_s"),
        Column("pays", "pays", "text"),
        Column("break_even", "break even", "text", quiet=True),
        Column("break_even_steps", "steps", "count", quiet=True),
    )
    rows = tuple(
        (
            arm.label,
            arm.timing.prepare_s,
            arm.timing.compile_s,
            arm.break_even.extra_s if arm.break_even else None,
            _pays(arm.break_even),
            arm.break_even.kind if arm.break_even else None,
            arm.break_even.steps if arm.break_even else None,
        )
        for arm in record.arms
        if arm.timing is not None and arm.timing.compile_s is not None
    )
    if rows:
        yield Table("Start", "start", columns, rows)


def _pays(found: BreakEven | None) -> str:
    if found is None or found.kind == "unknown":
        return ""
    steps = counted(found.steps, "step") if found.steps is not None else ""
    return {"from": f"from {steps} on", "until": f"up to {steps}", "always": "from the start", "never": "never"}[
        found.kind
    ]


def _drifts(drifts: Sequence[Drift]) -> Iterator[Table]:
    one_reference = len({drift.reference for drift in drifts}) <= 1
    columns = (
        _ARM,
        Column("reference", "against", "name", quiet=one_reference),
        Column("weights", "weights", "text", drop=9),
        Column("max_abs", "max abs", "scientific", drop=4),
        Column("max_rel", "max rel", "scientific"),
        Column("cosine", "cosine", "cosine", drop=5),
        Column("agreement", "decisions", "share"),
        Column("loss_change", "loss", "change"),
        Column("gradient_cosine", "grad cosine", "cosine", drop=6),
        Column("gradient_relative_l2", "grad rel L2", "scientific"),
        Column("nonfinite", "NaN/Inf", "count", drop=8),
        Column("underflow", "underflow", "count", drop=3),
        Column("skipped_steps", "skipped", "count", drop=7),
    )
    rows = tuple(_drifted(drift) for drift in drifts if not drift.failure)
    if rows:
        yield Table("Drift", "drift", columns, rows)


def _drifted(drift: Drift) -> tuple[Value, ...]:
    """Of several outputs the worst."""
    outputs, gradient = drift.outputs, drift.gradient
    known = drift.loss is not None and drift.reference_loss is not None
    return (
        drift.label,
        drift.reference,
        drift.weights if drift.weights == "different" else "",
        _worst(outputs, "max_abs"),
        _worst(outputs, "max_rel"),
        _worst(outputs, "cosine", least=True),
        _worst(outputs, "agreement", least=True),
        (drift.loss or 0.0) - (drift.reference_loss or 0.0) if known else None,
        gradient.cosine if gradient is not None else None,
        gradient.relative_l2 if gradient is not None else None,
        sum(output.nonfinite for output in outputs) + (gradient.nonfinite if gradient is not None else 0),
        gradient.underflow if gradient is not None else None,
        drift.skipped_steps,
    )


def _worst(outputs: Sequence[OutputDrift], name: str, *, least: bool = False) -> float | None:
    values = [value for output in outputs if (value := getattr(output, name)) is not None]
    return (min if least else max)(values, default=None)


def _metrics(drifts: Sequence[Drift]) -> Iterator[Table]:
    columns = (
        _ARM,
        Column("metric", "metric", "name"),
        Column("output", "output", "name", drop=1),
        Column("reference_value", "reference", "scientific", drop=3),
        Column("value", "variant", "scientific", drop=3),
        Column("difference", "difference", "change"),
        Column("low", "low", "change"),
        Column("high", "high", "change"),
        Column(
            "nonfinite", "NaN/Inf", "count", quiet=all(not row.nonfinite for drift in drifts for row in drift.metrics)
        ),
        Column("samples", "samples", "count"),
        Column("method", "interval", "text", drop=2),
    )
    rows = tuple(
        (
            *(drift.label, row.name, row.output, row.reference, row.variant),
            *(row.difference, row.low, row.high, row.nonfinite, row.samples, row.method),
        )
        for drift in drifts
        for row in drift.metrics
    )
    if rows:
        yield Table("Metric, 95 % interval", "metric", columns, rows)


def _layers(drifts: Sequence[Drift], top: int) -> Iterator[Table]:
    columns = (
        Column("layer", "layer", "name"),
        Column("type", "type", "name", drop=1),
        Column("label", "variant", "name"),
        Column("cosine", "cosine", "cosine"),
        Column("relative_l2", "rel L2", "scientific"),
        Column("nonfinite", "NaN/Inf", "count", drop=3),
        Column("underflow", "underflow", "count", drop=4),
        Column("values", "weights", "count", drop=2),
    )
    found = [(row, drift.label) for drift in drifts if drift.label != drift.reference for row in drift.layers]
    found = [(row, label) for row, label in found if row.relative_l2 != 0 or row.nonfinite]
    ranked = sorted(found, key=lambda pair: -_badness(pair[0]))
    rows = tuple(
        (row.layer, row.type, label, row.cosine, row.relative_l2, row.nonfinite, row.underflow, row.values)
        for row, label in ranked[: top or None]
    )
    more = len(ranked) - len(rows)
    rest = ((f"{more:,} more, less far", *[None] * (len(columns) - 1)),) if more else ()
    if rows:
        yield Table("Gradients furthest from float32", "gradient", columns, rows, rest)


def _badness(row: GradientDrift) -> float:
    return float("inf") if row.relative_l2 is None or row.nonfinite else row.relative_l2
