"""What data showed of a model: contributions to the result, health, and what setting units to zero did."""

from __future__ import annotations

from collections.abc import Iterator

from tfopt.records.ablation import AblationReport, AblationVerdict
from tfopt.records.health import Gain, HealthReport, HealthWarning
from tfopt.records.influence import RelevanceReport
from tfopt.report import units
from tfopt.report.influence_tables import root_of
from tfopt.report.page import Column, Table, Value
from tfopt.wording import counted

__all__ = [
    "ablation",
    "contributions",
    "health",
    "health_phrase",
    "made_of",
    "percent",
    "percentages",
    "result_of",
    "spent",
]

_MOST_CANCELLATION = 100.0
_MARGIN = "logit of the predicted class less the mean of the others"
_LEAST = 5e-5  # of the result: 0 % below it
_STEADY = 1.05  # a gain so near to 1 is neither growth nor loss
_USUAL = " (He or Glorot initialization: {} ×)"
_SEVERITIES = ("problem", "warning", "note")


def percentages(report: RelevanceReport) -> bool:
    """Whether shares of the result say anything: not where terms many times as large cancel."""
    return report.cancellation <= _MOST_CANCELLATION


def result_of(report: RelevanceReport) -> str:
    """What contributions are to: `the logit of the predicted class`."""
    return f"the {report.target}".replace(_MARGIN, "margin") if report.target else "the result"


def made_of(report: RelevanceReport) -> str:
    """`inputs make 90.1 % of the output, biases 9.9 %`."""
    return f"inputs make {percent(report.inputs)} of {result_of(report)}, biases {percent(report.biases)}"


def spent(report: RelevanceReport) -> str:
    """How the result is made up, in two sentences."""
    over = f"On {counted(report.samples, 'sample')}"
    if not percentages(report):
        return (
            f"{over} no percentages: terms {units.scientific(report.cancellation)} times as large as the result cancel,"
            " so that shares of it say nothing."
        )
    left = f" ({report.left_out} left out: their result is zero or no number)" if report.left_out else ""
    lost = f", and {percent(report.unattributed)} could not be attributed" if _some(report.unattributed) else ""
    margin = " The margin is the predicted logit less the mean of the others." if report.target == _MARGIN else ""
    return (
        f"{over}{left}, {made_of(report)}{lost}.{margin} Without their signs the contributions would add up to"
        f" {units.scientific(report.cancellation)} × the result."
    )


def _some(share: float) -> bool:
    return abs(share) >= _LEAST


def percent(share: float) -> str:
    """A share with its sign; `0 %` where it is nothing to speak of."""
    return f"{'−' if share < 0 else ''}{units.percent(abs(share))}" if _some(share) else "0 %"


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
    rest += [("not attributed", report.unattributed)] if _some(report.unattributed) else []
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
    """Gains and findings in a few words."""
    found = counted(len(report.warnings), "finding") if report.warnings else "nothing to warn of"
    gains = (("signal", report.forward_gain, report.forward), ("gradient", report.backward_gain, report.backward))
    return "; ".join((*(_gain(what, mean, gain) for what, mean, gain in gains if mean is not None), found))


def _gain(what: str, mean: float, gain: Gain | None) -> str:
    """`the signal grows 1.78 × per weight layer (He or Glorot initialization: 1.02 ×)`."""
    way = "grows" if mean > _STEADY else "shrinks to" if mean < 1 / _STEADY else "keeps its size,"
    usual = "" if gain is None or gain.expected is None else _USUAL.format(_ratio(gain.expected))
    return f"the {what} {way} {_ratio(mean)} × per weight layer{usual}"


def _ratio(value: float) -> str:
    return f"{value:.2f}" if 0.01 <= value < 100 else units.scientific(value)


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
    rows: list[tuple[Value, ...]] = []
    for warning in shown:
        told = f"{warning.message} ({warning.evidence})" if warning.evidence else warning.message
        known = any(row[2] == warning.hint for row in rows)
        rows.append((warning.severity, told, None if known else warning.hint or None))
    rows += [("…", f"{len(found) - len(shown)} more", None)] if len(found) > len(shown) else []
    yield Table(
        "Health",
        "health",
        columns,
        tuple(rows or [("fine", health_phrase(report), None)]),
        caption=f"On one batch of {counted(report.samples, 'sample')}{_of_loss(report)}"
        + (f": {health_phrase(report)}." if rows else "."),
    )


def _of_loss(report: HealthReport) -> str:
    if report.loss is None:
        return ""
    return f", loss {units.scientific(report.loss)}" + (f" by {report.loss_function}" if report.loss_function else "")


def ablation(report: AblationReport | None) -> Iterator[Table]:
    """What setting units to zero does to the metric, beside random ones."""
    if report is None:
        return
    columns = (
        Column("chosen", "set to zero", "text"),
        Column("score", "by", "text"),
        Column("units", "branches" if report.level == "branch" else "units", "count", drop=2),
        Column("metric", "metric", "scientific", drop=1),
        Column("change", "change", "change"),
        Column("deviation", "±", "scientific"),
        Column("accuracy", "accuracy", "share", drop=3),
        Column("accuracy_deviation", "±", "share", drop=3),
    )
    intact = ("nothing", "", None, report.intact, None, None, report.intact_accuracy, None)
    rows = tuple(
        tuple(
            getattr(row, column.key) if row.score != row.chosen or column.key != "score" else "" for column in columns
        )
        for row in report.rows
    )
    worth = [_worth(verdict) for verdict in report.verdicts] or report.verdict.splitlines()
    told = [part.strip().rstrip(".") for part in (report.warning, *worth, f"The metric is {report.metric}") if part]
    told = [part[:1].upper() + part[1:] for part in told]
    yield Table("Ablation", "ablation", columns, (intact, *rows), caption=". ".join(told) + ".")


_WORTH = {
    "better": "The {} score finds what matters here: the weakest cost less than any random draw, the strongest more",
    "no better": "The {} score is no better than random here",
    "backwards": "The {} score ranks backwards here, worse than random",
}


def _worth(verdict: AblationVerdict) -> str:
    """The verdict without its numbers, which the table has."""
    return _WORTH.get(verdict.ranking, verdict.sentence).format(verdict.score)
