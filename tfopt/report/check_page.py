"""A check as a page: the verdict, what did not pass and where, then every gate."""

from __future__ import annotations

from collections.abc import Iterator

from tfopt.records.check import CheckRecord, Gate, ModelCheck
from tfopt.report import units
from tfopt.report.gates import answer, quantity, troubles
from tfopt.report.page import Column, Page, Table, Value
from tfopt.report.view import View
from tfopt.wording import counted

__all__ = ["page"]


def page(record: CheckRecord, view: View) -> Page:
    """What to show of `record`."""
    return Page(
        title=record.models[0].label if len(record.models) == 1 else counted(len(record.models), "model"),
        answer=answer(record),
        tone="alarm" if record.exit_code not in (0, 5) else "plain" if answer(record)[0] == "INCONCLUSIVE" else "good",
        facts=tuple(_facts(record)),
        tables=(*_troubles(record), *_gates(record), *_changes(record)),
        notes=(*record.notes, *(note for model in record.models for note in model.notes)),
    )


def _facts(record: CheckRecord) -> Iterator[tuple[str, ...]]:
    run = record.run
    lock = () if run.lock is None else (f"{run.lock} {'written' if run.updated else 'compared with'}",)
    yield "tfopt check", *([run.config] if run.config else []), *lock
    yield (
        f"TensorFlow {run.environment.tensorflow}",
        f"Keras {run.environment.keras}",
        run.environment.cpu,
        f"took {units.seconds(run.seconds)}, {units.seconds(run.cpu_seconds)} of CPU",
    )
    for model in record.models:
        duel = model.duel
        if duel is not None and duel.resolvable is not None:
            yield (
                f"{model.label}: a change of {units.percent(duel.resolvable)} would have been found 19 times of 20",
                *_noise(model),
            )


def _noise(model: ModelCheck) -> tuple[str, ...]:
    test = None if model.self_test is None else model.self_test.cpu or model.self_test.wall
    if test is None or test.low is None or test.high is None:
        return ()
    return (f"against itself {test.ratio:.3f} × [{test.low:.3f}, {test.high:.3f}]",)


def _troubles(record: CheckRecord) -> Iterator[Table]:
    columns = (
        Column("what", "what", "name"),
        Column("message", "", "prose"),
        Column("look_closer", "", "command"),
    )
    several = len(record.models) > 1
    rows = tuple(
        (
            f"{told.verdict} {told.name}".rstrip(),
            ": ".join(filter(None, (told.model.label if several else "", told.message, ", ".join(told.layers)))),
            told.hint,
        )
        for told in troubles(record.models)
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
        *(quantity(gate.value, unit), quantity(gate.reference, unit), quantity(gate.limit, unit)),
        *(gate.verdict, gate.value, gate.reference, gate.limit, unit, gate.message, gate.look_closer),
    )
