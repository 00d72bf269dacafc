"""Budgets: the facts of a model held against limits, absolute or relative to what was accepted. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from tfopt.checks.closer import closer
from tfopt.checks.lock import Reference
from tfopt.records.check import Gate, GateVerdict, LayerChange
from tfopt.records.fact_kinds import LIMITS, FactKind, Limit
from tfopt.records.facts import LayerFacts, ModelFacts
from tfopt.report.units import percent
from tfopt.wording import listed
from tfopt.workload.workers.contestant import Contestant

__all__ = ["DTYPES", "budget_gates", "layer_changes"]

DTYPES = "dtypes"  # the key of the dtypes that weights may have
_ROUNDINGS = 4  # in units of the last place: a bound such as 100 · (1 + 0.15) is not exact
_SEVERAL = 3  # from here on a factor is easier to read than a percentage
_LAYERS = 10


def budget_gates(
    subject: Contestant,
    facts: ModelFacts,
    limits: Mapping[str, float | Sequence[str]],
    reference: Reference | None = None,
) -> tuple[Gate, ...]:
    """One gate for each limit, in their order: a key of `tfopt.records.fact_kinds.LIMITS` with its number, or `dtypes`
    with the names that are allowed.

    A fact that is not known is an ERROR, never a PASS; one without a reference that it can be compared with is NEW.
    """
    return tuple(
        _dtypes(subject, facts, tuple(given)) if isinstance(given, Sequence)
        else _gate(subject, facts, LIMITS[key], float(given), reference)
        for key, given in limits.items()
    )  # fmt: skip


def _gate(subject: Contestant, facts: ModelFacts, limit: Limit, number: float, reference: Reference | None) -> Gate:
    kind, value = limit.fact, facts.values.get(limit.fact.name)
    no_reference = _no_reference(facts, kind, reference)
    before = reference.facts.values[kind.name] if reference is not None and not no_reference else None
    bound = limit.bound(number, before)
    layers: tuple[LayerChange, ...] = ()
    if value is None or not math.isfinite(value):
        verdict, message = _unknown(facts, kind)
    elif bound is None:
        verdict, message = "NEW", f"{kind.name}: {_shown(value, kind)}; {no_reference}"
    else:
        verdict = _verdict(value, bound, limit, before)
        message = _message(value, bound, limit, before, reference)
        if verdict == "FAIL":
            layers = layer_changes(
                facts, reference.facts if before is not None and reference is not None else None, kind
            )
    wrong = verdict in ("FAIL", "ERROR")
    return Gate(
        kind="budget",
        name=limit.key,
        fact=kind.name,
        verdict=verdict,
        value=value,
        limit=bound,
        reference=before,
        unit=kind.unit,
        message=message,
        layers=layers,
        layers_fact=kind.name if layers else "",
        look_closer=closer(subject, kind.verb, *_closer_options(kind, subject)) if wrong else "",
    )


def _closer_options(kind: FactKind, subject: Contestant) -> tuple[str, ...]:
    of_xla = kind.name in ("hlo_instructions", "fusions") and not subject.options.xla
    return ("--xla",) if of_xla else ()


def _no_reference(facts: ModelFacts, kind: FactKind, reference: Reference | None) -> str:
    """Why the reference, if there is one, tells nothing of this fact; '' where it does."""
    if reference is None:
        return "there is nothing to compare it with yet"
    if kind.name not in reference.facts.values:
        return f"{reference.name} does not have it"
    if kind.of_machine and reference.other_environment:
        return f"{reference.name} has it from another environment ({reference.other_environment})"
    theirs, ours = reference.facts.circumstances, facts.circumstances
    if kind.of_step and theirs != ours:
        differ = [name for name in sorted({*theirs, *ours}) if theirs.get(name) != ours.get(name)]
        return f"{reference.name} has it under another {listed(differ)}"
    return ""


def _unknown(facts: ModelFacts, kind: FactKind) -> tuple[GateVerdict, str]:
    said = (note.message for note in facts.notes if note.message.startswith(f"{kind.name} "))
    return "ERROR", next(said, f"{kind.name} is not known")


def _verdict(value: float, bound: float, limit: Limit, before: float | None) -> GateVerdict:
    sign = 1 if limit.sense == "max" else -1
    rounding = _ROUNDINGS * math.ulp(max(abs(bound), abs(before))) if limit.relative and before is not None else 0.0
    if sign * (value - bound) > rounding:
        return "FAIL"
    return "IMPROVED" if limit.relative and before is not None and sign * (value - before) < 0 else "PASS"


def _message(value: float, bound: float, limit: Limit, before: float | None, reference: Reference | None) -> str:
    kind = limit.fact
    side = "at most" if limit.sense == "max" else "at least"
    allowed = f"{side} {_shown(bound, kind)}"
    if not limit.relative or before is None or reference is None:
        return f"{kind.name}: {_shown(value, kind)}; allowed: {allowed}"
    change = _change(value, before, kind)
    now, then = _shown(value, kind), _shown(before, kind)
    return f"{kind.name}: {now}, {change} {reference.name} ({then}); allowed: {allowed}"


def _change(value: float, before: float, kind: FactKind) -> str:
    if value == before:
        return "as in"
    word = "more than in" if value > before else "less than in"
    if kind.unit == "share" or not before:
        return word
    if value >= _SEVERAL * before:
        return f"{value / before:.3g} times that of"
    return f"{percent(abs(value - before) / before)} {word}"


def _shown(value: float, kind: FactKind) -> str:
    """In full: what was rounded could say that 86.5 kB is more than 86.5 kB."""
    if kind.unit == "share":
        return f"{100 * value:.6g} %"
    return f"{value:,.1f}".removesuffix(".0") + (f" {kind.unit}" if kind.unit else "")


def layer_changes(facts: ModelFacts, before: ModelFacts | None, kind: FactKind) -> tuple[LayerChange, ...]:
    """Where a fact changed, the largest change first; without a reference, where there is most of it (of what should
    be more: where there is least)."""
    now, then = _by_place(facts), _by_place(before) if before is not None else {}
    changes = []
    for place in dict.fromkeys((*now, *then)):
        here, there = now.get(place), then.get(place)
        after, prior = _of(here, kind), _of(there, kind)
        some = here or there
        if some is not None and (after != prior if before is not None else after is not None):
            changes.append(LayerChange(path=some.path, type=some.type, before=prior, after=after))

    def rank(change: LayerChange) -> float:
        if before is not None:
            return abs((change.after or 0.0) - (change.before or 0.0))
        return (change.after or 0.0) * (1 if kind.better == "less" else -1)

    return tuple(sorted(changes, key=rank, reverse=True)[:_LAYERS])


def _of(layer: LayerFacts | None, kind: FactKind) -> float | None:
    """What a layer has of a fact: of a count none is 0, of a share no number."""
    if layer is None:
        return None
    return layer.values.get(kind.name, None if kind.unit == "share" else 0.0)


def _by_place(facts: ModelFacts) -> dict[str, LayerFacts]:
    """Layers by their place below the model, whose own name may be another."""
    return {layer.path.partition("/")[2]: layer for layer in facts.layers}


def _dtypes(subject: Contestant, facts: ModelFacts, allowed: Sequence[str]) -> Gate:
    others = {dtype: count for dtype, count in sorted(facts.dtypes.items()) if dtype not in allowed}
    found = listed([f"{count:,} in {dtype}" for dtype, count in sorted(facts.dtypes.items())])
    verdict: GateVerdict = "FAIL" if others else "PASS" if facts.dtypes else "ERROR"
    return Gate(
        kind="budget",
        name=DTYPES,
        fact=DTYPES,
        verdict=verdict,
        value=float(sum(others.values())),
        limit=0.0,
        message=f"numbers in weights: {found or 'none'}; allowed: {listed(allowed, len(allowed))}",
        look_closer=closer(subject, "inspect") if others else "",
    )
