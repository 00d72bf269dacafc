"""What the outputs of a check have in common: verdicts in words, and what went wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from tfopt.records.check import CheckRecord, Gate, LayerChange, ModelCheck
from tfopt.records.fact_kinds import FACTS
from tfopt.report.escape import visible
from tfopt.report.quantities import quantity
from tfopt.wording import counted

__all__ = ["LAYERS", "Told", "answer", "ended", "told_of", "troubles"]

LAYERS = 3  # of those that changed, as many are named in a sentence
_ENDINGS = {"unreadable": "cannot be read", "crashed": "crashed", "hung": "hung"}
_WORDS = {0: "PASS", 1: "FAIL", 3: "UNREADABLE", 4: "ERROR", 5: "INCONCLUSIVE", 130: "INTERRUPTED"}
_BAD = ("FAIL", "ERROR", "INCONCLUSIVE", "NEW")
_TOLD = (*_BAD, "IMPROVED", "PASS")
_MORE_TIME = "the time was over before it could be told: give it more with --max-time"
_ACCEPT = "the same command with --update accepts what it has now"


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
    failed = [model for model in record.models if model.ending]
    return (
        _word(record, found),
        *(f"{len(failed)} of {counted(len(record.models), 'model')} could not be checked" for _ in failed[:1]),
        *(_phrase(verdict, found[verdict]) for verdict in _TOLD if found[verdict]),
        *(["no gate"] if not gates else []),
    )


def _word(record: CheckRecord, found: Counter[str]) -> str:
    if record.exit_code or found["INCONCLUSIVE"]:
        return _WORDS.get(record.exit_code, "FAIL") if record.exit_code else "INCONCLUSIVE"
    if record.run.updated:
        return "ACCEPTED"
    if found["PASS"] + found["IMPROVED"]:
        return "PASS"
    return "NEW" if found["NEW"] else "INCONCLUSIVE"


def _phrase(verdict: str, count: int) -> str:
    if verdict == "ERROR":
        return counted(count, "error")
    word = {"PASS": "passed", "FAIL": "failed"}.get(verdict, verdict.lower())
    return f"{count} {word}"


def troubles(record: CheckRecord) -> Iterator[Told]:
    """What did not pass, the worst kind first, within it in the order of the models. What has just been accepted is no
    trouble, and gates that are new for one reason are one."""
    told = [found for model in record.models for found in _of(model, accepted=record.run.updated)]
    return iter(sorted(told, key=lambda each: _rank(each.verdict)))


def _rank(verdict: str) -> int:
    order = ("crashed", "hung", "cannot be read", *_BAD)
    return order.index(verdict)


def _of(model: ModelCheck, *, accepted: bool) -> Iterator[Told]:
    if model.ending:
        yield ended(model)
    new: dict[str, list[Gate]] = {}
    for gate in model.gates:
        if gate.verdict == "NEW":
            new.setdefault(gate.message.rpartition("; ")[2], []).append(gate)
        elif gate.verdict in _BAD and not (model.ending and gate.message == model.failure):
            yield told_of(model, gate)
    for reason, gates in new.items() if not accepted else ():
        if len(gates) == 1:
            yield told_of(model, gates[0])
        else:
            yield Told(model, counted(len(gates), "gate"), "NEW", reason, (), _ACCEPT)


def ended(model: ModelCheck) -> Told:
    """How a model ended that could not be checked."""
    return Told(model, "", _ENDINGS[model.ending], model.failure, (), model.hint)


def told_of(model: ModelCheck, gate: Gate) -> Told:
    """What to say of a gate that did not pass."""
    layers = tuple(_change(change, gate) for change in gate.layers[:LAYERS])
    more = len(gate.layers) - len(layers)
    rest = (counted(more, "more layer"),) if more > 0 else ()
    return Told(model, gate.name, gate.verdict, gate.message, (*layers, *rest), gate.look_closer or _hint(model, gate))


def _hint(model: ModelCheck, gate: Gate) -> str:
    if gate.verdict == "NEW":
        return _ACCEPT
    if gate.message == model.failure:
        return model.hint
    short = gate.kind == "timing" and model.duel is not None and model.duel.ended == "time"
    return _MORE_TIME if short and gate.verdict == "INCONCLUSIVE" else ""


def _change(change: LayerChange, gate: Gate) -> str:
    kind = FACTS.get(gate.layers_fact or gate.fact)
    unit = gate.unit if kind is None else kind.unit
    other = kind is not None and not unit and kind.name != gate.fact  # FLOPs say what they are
    path = visible(change.path) + (f" {gate.layers_fact}" if other else "")
    if gate.reference is None and gate.kind == "budget":  # an absolute limit: nothing was before
        return f"{path} {quantity(change.after, unit)}"
    if change.before is None:
        return f"{path} is new ({quantity(change.after, unit)})"
    if change.after is None:
        return f"{path} is gone ({quantity(change.before, unit)})"
    return f"{path} {quantity(change.before, unit)} → {quantity(change.after, unit)}"
