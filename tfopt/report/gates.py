"""What the outputs of a check have in common: verdicts in words, numbers with their units, what went wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tfopt.records.check import CheckRecord, Gate, LayerChange, ModelCheck
from tfopt.report import units
from tfopt.report.escape import visible
from tfopt.wording import counted

__all__ = ["LAYERS", "Told", "answer", "quantity", "troubles"]

LAYERS = 3  # of those that changed, as many are named in a sentence
_ENDINGS = {"unreadable": "cannot be read", "crashed": "crashed", "hung": "hung"}
_WORDS = {0: "PASS", 1: "FAIL", 3: "UNREADABLE", 4: "ERROR", 5: "INCONCLUSIVE"}
_BAD = ("FAIL", "ERROR", "INCONCLUSIVE", "NEW")
_TOLD = (*_BAD, "IMPROVED", "PASS")


@dataclass(frozen=True)
class Told:
    """Something to read in a check: a gate that did not pass, or a model that could not be checked. `verdict` is that
    of the gate, or how the model ended; `hint` the command or the way to go on, which may be empty."""

    model: ModelCheck
    name: str
    verdict: str
    message: str
    layers: tuple[str, ...] = ()
    hint: str = ""


def answer(record: CheckRecord) -> tuple[str, ...]:
    """The verdict on everything in one word, and how many gates had which."""
    gates = [gate for model in record.models for gate in model.gates]
    found = Counter[str](gate.verdict for gate in gates)
    undecided = record.exit_code == 0 and (found["INCONCLUSIVE"] or not found["PASS"] + found["IMPROVED"])
    ended = [model for model in record.models if model.ending]
    return (
        "INCONCLUSIVE" if undecided else _WORDS.get(record.exit_code, "FAIL"),
        *(f"{len(ended)} of {counted(len(record.models), 'model')} could not be checked" for _ in ended[:1]),
        *(f"{found[verdict]} {_phrase(verdict)}" for verdict in _TOLD if found[verdict]),
        *(["no gate"] if not gates else []),
    )


def _phrase(verdict: str) -> str:
    return {"PASS": "passed", "FAIL": "failed"}.get(verdict, verdict.lower())


def troubles(models: Iterable[ModelCheck]) -> Iterator[Told]:
    """What did not pass, the worst kind first, within it in the order of the models."""
    told = [found for model in models for found in _of(model)]
    return iter(sorted(told, key=lambda each: _rank(each.verdict)))


def _rank(verdict: str) -> int:
    order = ("crashed", "hung", "cannot be read", *_BAD)
    return order.index(verdict)


def _of(model: ModelCheck) -> Iterator[Told]:
    if model.ending:
        yield Told(model, "", _ENDINGS[model.ending], model.failure, (), model.hint)
    for gate in model.gates:
        if gate.verdict in _BAD:
            layers = tuple(_change(change, gate) for change in gate.layers[:LAYERS])
            more = len(gate.layers) - len(layers)
            rest = (counted(more, "more layer"),) if more > 0 else ()
            yield Told(model, gate.name, gate.verdict, gate.message, (*layers, *rest), gate.look_closer)


def _change(change: LayerChange, gate: Gate) -> str:
    unit = change.unit if change.fact else gate.unit
    path = visible(change.path) + (f" {change.fact}" if change.fact not in ("", gate.fact) else "")
    before, after = quantity(change.before, unit), quantity(change.after, unit)
    if gate.reference is None and gate.kind == "budget":  # an absolute limit: nothing was before
        return f"{path} {after}"
    if change.before is None:
        return f"{path} is new ({after})"
    if change.after is None:
        return f"{path} is gone ({before})"
    return f"{path} {before} → {after}"


def quantity(value: float | None, unit: str) -> str:
    """A value of a gate with its unit; counts are exact to the last digit, since budgets are."""
    if value is None:
        return ""
    if unit == "share":
        return units.percent(value) if value else "0 %"
    if unit == "ratio":
        return f"{value:.3f} ×"
    if unit == "bytes":
        return units.size(int(value))
    if unit == "s":
        return units.seconds(value)
    if unit == "FLOPs":
        return f"{units.count(value)} FLOPs"
    return f"{int(value):,}".replace(",", " ") if value == int(value) else units.scientific(value)
