"""A check as a page: the verdict, what did not pass and where, then every gate."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from tfopt.records.base import Note
from tfopt.records.check import CheckRecord, Gate, ModelCheck
from tfopt.report import units
from tfopt.report.gates import answer, troubles
from tfopt.report.page import Column, Page, Table, Tone, Value
from tfopt.report.quantities import measured, quantity
from tfopt.report.view import View
from tfopt.wording import counted

__all__ = ["page"]


def page(record: CheckRecord, view: View) -> Page:
    """What to show of `record`."""
    return Page(
        title=record.models[0].label if len(record.models) == 1 else counted(len(record.models), "model"),
        answer=answer(record),
        tone=_tone(record),
        facts=tuple(_facts(record)),
        tables=(*_troubles(record), *_gates(record), *_changes(record)),
        notes=(*record.notes, *_notes(record)),
    )


def _tone(record: CheckRecord) -> Tone:
    if record.exit_code not in (0, 5):
        return "alarm"
    return "plain" if answer(record)[0] in ("INCONCLUSIVE", "NEW") else "good"


def _notes(record: CheckRecord) -> Iterator[Note]:
    for model in record.models:
        for note in model.notes:
            yield replace(note, message=_of(model, record) + note.message)


def _of(model: ModelCheck, record: CheckRecord) -> str:
    """Which of several models is spoken of."""
    return f"{model.label}: " if len(record.models) > 1 else ""


def _facts(record: CheckRecord) -> Iterator[tuple[str, ...]]:
    run = record.run
    budgets = any(gate.kind == "budget" for model in record.models for gate in model.gates)
    said = "wrote" if run.updated else "accepted before:"
    lock = [f"{said} {run.lock}"] if run.lock is not None and budgets else []
    shared = {model.baseline for model in record.models}
    baseline = [f"baseline {name}" for name in shared if name is not None and len(shared) == 1]
    yield "tfopt check", *([run.config] if run.config else []), *baseline, *lock
    yield (
        f"TensorFlow {run.environment.tensorflow}",
        f"Keras {run.environment.keras}",
        run.environment.cpu,
        f"took {units.seconds(run.seconds)}, {units.seconds(run.cpu_seconds)} of CPU",
    )
    for model in record.models:
        own = [f"baseline {model.baseline}"] if model.baseline is not None and not baseline else []
        found = (*own, *_resolved(model), *_noise(model), *_costs(model))
        if found:
            yield _of(model, record) + found[0], *found[1:]


def _resolved(model: ModelCheck) -> Iterator[str]:
    if model.duel is not None and model.duel.resolvable is not None:
        yield f"a change of {units.percent(model.duel.resolvable)} in time would have been found 19 times of 20"


def _noise(model: ModelCheck) -> Iterator[str]:
    test = None if model.self_test is None else model.self_test.cpu or model.self_test.wall
    if test is not None and test.low is not None and test.high is not None:
        yield f"against itself {test.ratio:.3f} × [{test.low:.3f}, {test.high:.3f}]"


def _costs(model: ModelCheck) -> Iterator[str]:
    """What the facts cost that are found only where a limit asks for them."""
    sides = [facts for facts in (model.facts, model.baseline_facts) if facts is not None]
    costs = {name: sum(facts.cost_s.get(name, 0.0) for facts in sides) for facts in sides for name in facts.cost_s}
    if costs:
        yield "CPU time spent on " + ", ".join(f"{name} {units.seconds(spent)}" for name, spent in costs.items())


def _troubles(record: CheckRecord) -> Iterator[Table]:
    columns = (
        Column("what", "what", "name"),
        Column("message", "", "prose"),
        Column("layers", "", "prose"),
        Column("look_closer", "", "command"),
    )
    rows = tuple(
        (
            f"{told.verdict} {told.name}".rstrip(),
            _of(told.model, record) + told.message,
            ", ".join(told.layers),
            told.hint,
        )
        for told in troubles(record)
    )
    if rows:
        yield Table("To look at", "trouble", columns, rows)


def _changes(record: CheckRecord) -> Iterator[Table]:
    """For programs: every layer that a gate names. People read the largest in its sentence."""
    columns = (
        Column("model", "model", "name"),
        Column("gate", "gate", "name"),
        Column("layer", "layer", "name"),
        Column("type", "type", "name"),
        Column("before", "before", "scientific"),
        Column("after", "after", "scientific"),
    )
    rows = tuple(
        (model.label, gate.name, change.path, change.type, change.before, change.after)
        for model in record.models
        for gate in model.gates
        for change in gate.layers
    )
    if rows:
        yield Table("Layers", "change", columns, rows, quiet=True)


def _gates(record: CheckRecord) -> Iterator[Table]:
    """The first that CSV looks for: every gate of every model."""
    several = len(record.models) > 1
    columns = (
        Column("gate", "gate", "name"),
        Column("model", "model", "name", quiet=not several),
        Column("kind", "kind", "text", quiet=True),
        Column("fact", "fact", "text", quiet=True),
        Column("now", "now", "text", drop=1),
        Column("was", "was", "text", drop=2),
        Column("allowed", "allowed", "text", drop=1),
        Column("verdict", "", "text"),
        Column("value", "value", "scientific", quiet=True),
        Column("reference", "reference", "scientific", quiet=True),
        Column("limit", "limit", "scientific", quiet=True),
        Column("unit", "unit", "text", quiet=True),
        Column("message", "message", "text", quiet=True),
        Column("look_closer", "look closer", "text", quiet=True),
    )
    rows = tuple(_row(model, gate) for model in record.models for gate in model.gates)
    if rows:
        yield Table("Gates", "layer", columns, rows)


def _row(model: ModelCheck, gate: Gate) -> tuple[Value, ...]:
    unit = gate.unit
    return (
        *(gate.name, model.label, gate.kind, gate.fact),
        *(measured(gate), "" if gate.kind == "timing" else quantity(gate.reference, unit), quantity(gate.limit, unit)),
        *(gate.verdict, gate.value, gate.reference, gate.limit, unit, gate.message, gate.look_closer),
    )
