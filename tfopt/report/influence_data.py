"""What data showed of a model: contributions to the result, health, and what setting units to zero did."""

from __future__ import annotations

from collections.abc import Iterator

from tfopt.records.ablation import AblationReport
from tfopt.records.health import HealthReport, HealthWarning
from tfopt.records.influence import RelevanceReport
from tfopt.report import units
from tfopt.report.influence_tables import root_of
from tfopt.report.page import Column, Table, Value
from tfopt.wording import counted

__all__ = ["ablation", "contributions", "health", "health_phrase", "percentages", "result_of", "spent"]

_MOST_CANCELLATION = 100.0
_LEAST = 5e-5  # of the result: 0 % below it
_SEVERITIES = ("problem", "warning", "note")


def percentages(report: RelevanceReport) -> bool:
    """Whether shares of the result say anything: not where terms many times as large cancel."""
    return report.cancellation <= _MOST_CANCELLATION


def result_of(report: RelevanceReport) -> str:
    """What contributions are to: `the logit of the predicted class`."""
    return f"the {report.target}" if report.target else "the result"


def spent(report: RelevanceReport) -> str:
    """How the result is made up, in one sentence."""
    over = f"On {counted(report.samples, 'sample')}"
    if not percentages(report):
        return (
            f"{over} no percentages: terms {units.scientific(report.cancellation)} times as large as the result cancel,"
            " so that shares of it say nothing."
        )
    left = f" ({report.left_out} left out: their result is zero or no number)" if report.left_out else ""
    parts = f"inputs make {_percent(report.inputs)} of {result_of(report)} and biases {_percent(report.biases)}"
    return (
        f"{over}{left}, {parts}; {_percent(report.unattributed)} could not be attributed. Before they cancel, terms are"
        f" {units.scientific(report.cancellation)} × the result."
    )


def _percent(share: float) -> str:
    return f"{'−' if share < 0 else ''}{units.percent(abs(share))}" if abs(share) >= _LEAST else "0 %"


def contributions(report: RelevanceReport | None, most: int) -> Iterator[Table]:
    """What adds up to the result: inputs and what each layer adds. The rows and their rest add up to all of it."""
    if report is None or not percentages(report):
        return
    root = root_of(report.rules)
    adding = sorted((row for row in report.layers if row.bias), key=lambda row: -abs(row.bias))
    shown = adding[: most or None]
    columns = (Column("part", "part", "name"), Column("share", "of the result", "change_share"))
    rows: list[tuple[Value, ...]] = [("inputs", report.inputs)]
    for row in shown:
        call = f" #{row.call}" if row.call > 1 else ""
        rows.append((f"biases of {row.path.removeprefix(root)}{call}", row.bias))
    left = report.biases - sum(row.bias for row in shown)
    more = len(adding) - len(shown)
    rest: list[tuple[Value, ...]] = [(f"biases of {counted(more, 'more layer')}", left)] if more else []
    rest.append(("not attributed", report.unattributed if abs(report.unattributed) >= _LEAST else 0.0))
    yield Table(
        "Contributions",
        "contribution",
        columns,
        tuple(rows),
        tuple(rest),
        "share",
        caption=f"What adds up to {result_of(report)}, mean over samples.",
    )


def health_phrase(report: HealthReport) -> str:
    """Gains and warnings in a few words."""
    gains = [
        f"{units.scientific(gain)} {way}"
        for way, gain in (("forward", report.forward_gain), ("backward", report.backward_gain))
        if gain is not None
    ]
    warned = counted(len(report.warnings), "warning") if report.warnings else "nothing to warn of"
    return f"gain per layer {', '.join(gains)}; {warned}" if gains else warned


def ordered(report: HealthReport) -> list[HealthWarning]:
    """The warnings, the worst first."""
    return sorted(report.warnings, key=lambda warning: _SEVERITIES.index(warning.severity))


def health(report: HealthReport | None, most: int) -> Iterator[Table]:
    """Warnings with their evidence, the worst first."""
    if report is None:
        return
    columns = (
        Column("severity", "", "text"),
        Column("message", "finding", "prose"),
        Column("hint", "hint", "prose"),
    )
    found = ordered(report)
    shown = found[: most or None]
    rows: list[tuple[Value, ...]] = [
        (warning.severity, f"{warning.message} ({warning.evidence})" if warning.evidence else warning.message, _hint)
        for warning in shown
        for _hint in (warning.hint or None,)
    ]
    rows += [("…", f"{len(found) - len(shown)} more", None)] if len(found) > len(shown) else []
    yield Table(
        "Health",
        "health",
        columns,
        tuple(rows or [("fine", health_phrase(report), None)]),
        caption=f"Signals and gradients of one batch ({counted(report.samples, 'sample')}): {health_phrase(report)}."
        if rows
        else "",
    )


def ablation(report: AblationReport | None) -> Iterator[Table]:
    """What setting units to zero does to the metric, beside random ones."""
    if report is None:
        return
    columns = (
        Column("chosen", "set to zero", "text"),
        Column("score", "by", "text"),
        Column("units", "units", "count", drop=2),
        Column("metric", "metric", "scientific", drop=1),
        Column("change", "change", "change"),
        Column("deviation", "±", "scientific"),
        Column("accuracy_change", "accuracy", "change_share", drop=3),
        Column("accuracy_deviation", "±", "share", drop=3),
    )
    rows = tuple(tuple(getattr(row, column.key) for column in columns) for row in report.rows)
    intact = "" if report.intact is None else f"{report.metric} of the intact model {units.scientific(report.intact)}"
    told = (part.strip().rstrip(".") for part in (report.warning, *report.verdict.splitlines(), intact))
    yield Table("Ablation", "ablation", columns, rows, caption=". ".join(filter(None, told)) + ".")
