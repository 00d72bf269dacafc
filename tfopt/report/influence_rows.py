"""Everything an influence record tells, one row per number, for CSV: a kind, whose it is, and its share or value."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tfopt.records.health import HealthReport
from tfopt.records.influence import (
    Certificate,
    EdgeShare,
    InfluenceRecord,
    LayerRule,
    PathReport,
    RelevanceReport,
    UnitShares,
)
from tfopt.report.page import Column, Table, Value

__all__ = ["every_row"]

_COLUMNS = (
    Column("kind", "kind", "text"),
    Column("path", "path", "name"),
    Column("of", "of", "name"),
    Column("call", "call", "count"),
    Column("share", "share", "share"),
    Column("value", "value", "scientific"),
    Column("status", "status", "name"),
)
_Row = tuple[Value, ...]


def every_row(record: InfluenceRecord) -> Table:
    """The record as one table."""
    rows = (
        *(_paths(record.paths) if record.paths is not None else ()),
        *(_relevance(record.relevance) if record.relevance is not None else ()),
        *_strongest(record),
        *(_health(record.health) if record.health is not None else ()),
        *_ablation(record),
    )
    return Table("Everything", "layer", _COLUMNS, rows, quiet=True)


def _row(
    kind: str,
    path: str,
    of: str = "",
    call: int | None = None,
    share: float | None = None,
    value: float | None = None,
    status: str = "",
) -> _Row:
    return kind, path, of, call, share, value, status


def _paths(report: PathReport) -> Iterator[_Row]:
    yield _row("total", "log10", value=report.log10_total, status=_sure(report.consistent))
    yield from _certificates("certificate", report.certificates)
    yield from _rules("rule", report.layers)
    yield from _edges("edge", report.edges)
    yield from _units("unit", report.units)
    for variable in report.variables:
        yield _row("variable", variable.path, variable.layer, variable.calls, variable.share, status=variable.status)
    for weight in report.strongest:
        yield _row("weight", weight.variable, str(list(weight.index)), share=weight.share)
    for group in report.groups:
        yield _row("group", group.name, share=group.share, value=group.elements)


def _relevance(report: RelevanceReport) -> Iterator[_Row]:
    yield _row("result on data", report.target, value=report.result_mean, status=_sure(report.consistent))
    for part in ("inputs", "biases", "unattributed"):
        yield _row("contribution", part, share=getattr(report, part))
    yield _row("cancellation", report.target, value=report.cancellation)
    yield from _certificates("certificate on data", report.certificates)
    yield from _rules("rule on data", report.rules)
    for layer in report.layers:
        yield _row("layer on data", layer.path, layer.type, layer.call, layer.share, layer.magnitude)
        yield _row("bias on data", layer.path, layer.type, layer.call, layer.bias)
    yield from _edges("edge on data", report.edges)
    yield from _units("unit on data", report.units)


def _sure(consistent: bool) -> str:
    return "consistent" if consistent else "not certified"


def _certificates(kind: str, certificates: Sequence[Certificate]) -> Iterator[_Row]:
    for one in certificates:
        yield _row(kind, one.name, one.layer or "", value=one.value, status="met" if one.met else "failed")


def _rules(kind: str, rules: Sequence[LayerRule]) -> Iterator[_Row]:
    for rule in rules:
        told = f"{rule.status} ({', '.join(rule.reasons)})" if rule.reasons else rule.status
        yield _row(kind, rule.path, rule.type, rule.calls, status=told)


def _edges(kind: str, edges: Sequence[EdgeShare]) -> Iterator[_Row]:
    for edge in edges:
        told = "partial" if edge.partial else "merge" if edge.merge else ""
        yield _row(kind, " or ".join(edge.sources), edge.target, edge.call, edge.share, status=told)


def _units(kind: str, layers: Sequence[UnitShares]) -> Iterator[_Row]:
    """Of each layer the number of effective units, and its strongest units with their share of it."""
    for layer in layers:
        told = f"{layer.carrying} of {layer.units} carry {layer.carried:.3f}, {layer.dead} dead"
        yield _row(f"{kind}s", layer.path, share=layer.share, value=layer.effective, status=told)
        for unit, share in layer.top:
            yield _row(kind, layer.path, str(unit), share=share)


def _strongest(record: InfluenceRecord) -> Iterator[_Row]:
    for path in record.strongest.paths if record.strongest is not None else ():
        steps = " → ".join(layer if unit is None else f"{layer}[{unit}]" for layer, unit in path.steps)
        yield _row("path", steps, share=path.flow, value=path.log10_weight)


def _health(report: HealthReport) -> Iterator[_Row]:
    for layer in report.layers:
        yield _row("forward gain", layer.path, layer.type, value=layer.forward_gain)
        yield _row("backward gain", layer.path, layer.type, value=layer.backward_gain)
    for variable in report.variables:
        yield _row("gradient to weight", variable.path, value=variable.ratio)
    for activation in report.activations:
        yield _row("gradient flow", activation.path, activation.function, value=activation.gradient_flow)
    for warning in report.warnings:
        yield _row(warning.severity, ", ".join(warning.layers), warning.id, status=f"{warning.message}")


def _ablation(record: InfluenceRecord) -> Iterator[_Row]:
    for row in record.ablation.rows if record.ablation is not None else ():
        yield _row(f"ablated {row.chosen}", row.score, value=row.change)
