"""The page of an influence record: what carries the result, whether that is sure, then where."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from tfopt.records.influence import (
    Certificate,
    EdgeShare,
    InfluenceRecord,
    LayerRule,
    PathReport,
    RelevanceReport,
    UnitShares,
)
from tfopt.report import influence_data as on_data
from tfopt.report import influence_tables as tables
from tfopt.report import units
from tfopt.report.changes import name_of
from tfopt.report.influence_rows import every_row
from tfopt.report.page import Page, Table, Tone
from tfopt.report.summary import subject
from tfopt.report.view import View
from tfopt.wording import counted

__all__ = ["carried", "consistency", "headline", "page"]

_CONCENTRATED = 0.5  # 80 % carried by fewer of the units than this is worth a headline
_CARRIES = 0.1  # of a layer that carries at least so much
_UNEVEN = 1.2  # a branch with so many times its equal part
_ROWS = {"branches": 2, "units": 4, "weights": 2, "paths": 20, "contributions": 3, "health": 3}

_WHERE = {"-o", "--output", "--format", "--top"}
_HOW = {"--force", "-q", "--quiet", "-v", "--verbose"}

_PROVES = {
    "euler": "it is not a sum over paths",
    "additivity": "two inputs together do not give the sum of what each gives",
    "homogeneity": "an input scaled does not give a result scaled",
    "conservation": "more or less flows out of it than into it",
    "non-negativity": "terms are negative and cancel, which no sum of absolute weights does",
    "monotonicity": "an output falls when an input grows, as where inputs are subtracted",
    "finite": "the total is no positive number",
}


def page(record: InfluenceRecord, view: View) -> Page:
    """What to show of `record`."""
    title, *model = subject(record.model)
    rules = rules_of(record)
    answer, tone = headline(record)
    return Page(
        title=title,
        answer=answer,
        tone=tone,
        sentences=tuple(_sentences(record)),
        facts=(tuple(model), tuple(_circumstances(record)), tables.coverage(rules)),
        tables=(every_row(record), *_tables(record, view)),
        notes=record.notes,
        footer=tuple(_next(record, view)),
    )


def rules_of(record: InfluenceRecord) -> tuple[LayerRule, ...]:
    """What each layer was taken for."""
    if record.paths is not None:
        return record.paths.layers
    return record.relevance.rules if record.relevance is not None else ()


def headline(record: InfluenceRecord) -> tuple[tuple[str, ...], Tone]:
    """What carries the result, in a sentence, and whether the sums are consistent."""
    reports = [report for report in (record.paths, record.relevance) if report is not None]
    sure = all(report.consistent for report in reports)
    if record.paths is not None and not record.paths.consistent:
        return ("not certified: the shares below cannot be relied on",), "alarm"
    if record.paths is not None:
        sureness = "consistent" if sure else "on data not certified"
        return (carried(record.paths, record.relevance), sureness), "good" if sure else "alarm"
    if record.relevance is not None:
        return (*_inputs(record.relevance), "consistent" if sure else "not certified"), "good" if sure else "alarm"
    return ("nothing was asked for",), "plain"


def _inputs(report: RelevanceReport) -> Iterator[str]:
    if report.consistent and on_data.percentages(report):
        yield on_data.made_of(report)


def carried(report: PathReport, data: RelevanceReport | None = None) -> str:
    """The sentence: which few units, or which branch, most paths lead through; the same branch on `data`."""
    root, types = tables.root_of(report.layers), {rule.path: rule.type for rule in report.layers}
    ranked = [row for row, _ in tables.ranked_units(report.units) if row.share >= _CARRIES]
    if ranked and ranked[0].carrying < _CONCENTRATED * ranked[0].units:
        return f"{_few(ranked[0], root, types)} carry 80 % of {_of(ranked[0])}"
    merge = tables.most_uneven(report)
    if merge is not None and merge.strongest.share >= min(0.9, _UNEVEN / len(merge.branches)):
        way = merge.strongest
        name = f"the {way.label(root)}" if way.skip else way.label(root)
        where = merge.path.removeprefix(root)
        return f"{name} carries {units.percent(way.share)} of what meets in {where}{_beside(way.edge, data)}"
    if ranked:
        return f"evenly spread: 80 % takes at least {_few(ranked[0], root, types)}"
    return "one way through, without units to tell apart"


def _beside(edge: EdgeShare, data: RelevanceReport | None) -> str:
    """The same way on data, which may tell another story: ` (of the result on data 10.5 %)`."""
    if data is None or not data.consistent or not on_data.percentages(data):
        return ""
    same = (edge.sources, edge.target, edge.call)
    shares = [one.share for one in data.edges if (one.sources, one.target, one.call) == same]
    return f" (of the result on data: {on_data.percent(shares[0])})" if shares else ""


def _few(row: UnitShares, root: str, types: dict[str, str]) -> str:
    return f"{row.carrying} of {row.units} {tables.noun(types.get(row.path, ''))} of {row.path.removeprefix(root)}"


def _of(row: UnitShares) -> str:
    return "all paths" if row.share > 0.999 else "the paths through it"


def _sentences(record: InfluenceRecord) -> Iterator[str]:
    if record.paths is not None:
        yield consistency(record.paths.certificates, record.paths.layers)
        yield "A path's weight is the product of |weights| along it; shares are of their sum."
    if record.relevance is not None:
        if not record.relevance.consistent or record.paths is None:
            sure = consistency(record.relevance.certificates, record.relevance.rules)
            yield f"On data {sure[0].lower()}{sure[1:]}"
        yield on_data.spent(record.relevance)


def consistency(certificates: tuple[Certificate, ...], rules: tuple[LayerRule, ...]) -> str:
    """What the certificates show, in plain words: the layer at fault, or what is exact."""
    failed = next((one for one in certificates if not one.met), None)
    if failed is not None:
        where = f"in {failed.layer}" if failed.layer else "in the model"
        off = "" if failed.value is None or failed.name == "finite" else f", off by {units.scientific(failed.value)}"
        return f"Not certified: {failed.name} fails {where}{off}: {_PROVES[failed.name]}. {_mending(failed)}"
    rough = sum(rule.status != "exact" for rule in rules)
    if not rough:
        return "Consistent: the sums are exact."
    return f"Consistent: the sums are exact for the rules used, which simplify {counted(rough, 'layer')}."


def _mending(failed: Certificate) -> str:
    if failed.name == "finite":
        return "Weights that are zero or no numbers let no path through: --health looks for them."
    if failed.layer is None or failed.layer.startswith("("):
        return "Put functions that the model calls between its layers into a layer that has a rule (docs/influence.md)."
    return "Give this layer a rule with @tfopt.rule, in a module that --import names (docs/influence.md)."


def _circumstances(record: InfluenceRecord) -> Iterator[str]:
    run = record.run
    if record.paths is not None:
        yield "path weights, without data"
        if record.paths.log10_total is not None:
            yield f"all paths add up to 10^{record.paths.log10_total:.1f}"
        if record.paths.maxpool == "max":
            yield "through the largest of each pooling window"
        if record.paths.biases == "include":
            yield "with paths that start at biases"
        if record.paths.dtype_reason:
            yield f"{record.paths.dtype}: {record.paths.dtype_reason}"
    if record.relevance is not None or record.health is not None or record.ablation is not None:
        yield f"data {name_of(run.data)}"
        yield counted(run.samples, "sample")
    known = [report.peak_bytes for report in (record.paths, record.relevance) if report is not None]
    if peak := max(filter(None, known), default=0):
        yield f"a pass takes {units.size(peak)}"
    yield f"TensorFlow {run.tensorflow}, Keras {run.keras}"


def _tables(record: InfluenceRecord, view: View) -> Iterator[Table]:
    most = _ROWS if view.top is None else dict.fromkeys(_ROWS, view.top)
    rules = rules_of(record)
    report, data = record.paths or record.relevance, record.relevance
    told = data is not None and on_data.percentages(data)
    if report is not None and (record.paths is not None or told):
        beside = data if told and record.paths is not None else None
        yield from tables.branches(report, rules, most["branches"], beside.edges if beside is not None else ())
        yield from tables.units(report, rules, most["units"], beside.units if beside is not None else ())
    if record.paths is not None:
        yield from tables.groups(record.paths.groups)
        yield from tables.weights(record.paths.strongest, most["weights"])
    yield from tables.paths(record.strongest, rules, most["paths"], whole=view.top == 0 and view.width is None)
    yield from on_data.contributions(record.relevance, most["contributions"])
    yield from on_data.health(record.health, most["health"])
    yield from on_data.ablation(record.ablation)


def _next(record: InfluenceRecord, view: View) -> Iterator[tuple[str, str]]:
    command = _looking(record.run.command)
    if not command:
        return
    if record.relevance is None and "--data" not in command:
        yield "on your data", f"{command} --data FILE.npz"
    if record.ablation is None:
        data = "" if "--data" in command else " --data FILE.npz"
        yield "does it matter?", f"{command}{data} --ablate 10"
    if view.top != 0:
        yield "every row", f"{command} --top 0"


def _looking(command: str) -> str:
    """The command without what says where its answer goes; empty where it was no command."""
    try:
        first, *words = shlex.split(command)
    except ValueError:
        return ""
    if first != "tfopt" or words[:1] != ["influence"]:
        return ""
    kept = []
    for word, before in zip(words, ["", *words], strict=False):
        if (
            not {word, before} & _WHERE
            and word not in _HOW
            and not word.startswith(("--output=", "--format=", "--top="))
        ):
            kept.append(word)
    return shlex.join(["tfopt", *kept])
