"""The lock file: what was accepted of each model, once for each environment. A person commits it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from tfopt.checks.environment import environment_words
from tfopt.errors import InputError
from tfopt.model.source import file_label
from tfopt.model.text import one_line
from tfopt.records.fact_kinds import FACTS
from tfopt.records.facts import LOCK_SCHEMA, Environment, LayerFacts, Lock, LockedModel, ModelFacts
from tfopt.report.files import write_file

__all__ = ["Reference", "locked", "read_lock", "updated", "write_lock"]

_ANEW = "write it anew: tfopt check --update (git has the old one)"


@dataclass(frozen=True)
class Reference:
    """Facts to compare with, and what they are called in messages. `other_environment` says which one they were found
    in, where it is another: there facts that depend on it are no reference."""

    facts: ModelFacts
    name: str
    other_environment: str = ""


def read_lock(path: Path) -> Lock | None:
    """The lock at `path`; None where there is no such file.

    Raises InputError where it cannot be read, is damaged, or is of a schema that this version does not know.
    """
    label = file_label(str(path))
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(f"the lock {label} cannot be read: {error.strerror or error}", "name another file") from None
    try:
        schema = msgspec.json.decode(content, type=_Said).schema
        if schema != LOCK_SCHEMA:
            newer = f"the lock {label} is of the schema {one_line(schema, 60)}, and this tfopt reads {LOCK_SCHEMA}"
            raise InputError(newer, "upgrade tfopt: pip install -U tfopt")
        return msgspec.json.decode(content, type=Lock)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InputError(f"the lock {label} is damaged: {one_line(error)}", _ANEW) from None


class _Said(msgspec.Struct):
    schema: str


def write_lock(path: Path, lock: Lock) -> None:
    """Write the lock whole or not at all: keys in order and a number per line, so that a change is a line of a diff."""
    write_file(path, msgspec.json.format(msgspec.json.encode(lock, order="sorted"), indent=2) + b"\n", force=True)


def locked(lock: Lock | None, label: str, environment: Environment) -> Reference | None:
    """What the lock has of a model: that of this environment, else of another one, which then is said."""
    entries = lock.models.get(label, ()) if lock is not None else ()
    here = next((entry for entry in entries if entry.environment == environment), None)
    if here is not None:
        return Reference(here.facts, "the lock")
    return Reference(entries[0].facts, "the lock", environment_words(entries[0].environment)) if entries else None


def updated(lock: Lock | None, found: Mapping[str, ModelFacts], environment: Environment) -> Lock:
    """The lock with these facts accepted. Models that are not named stay as they were.

    What another environment has of a model stays while it is of the same model: where facts that depend on no
    environment differ, or were found under other circumstances, it is dropped, for it would go on to hold this model
    to what was accepted of an older one.
    """
    models = dict(lock.models) if lock is not None else {}
    for label, facts in found.items():
        entry = LockedModel(environment=environment, facts=_kept(facts))
        others = [other for other in models.get(label, ()) if other.environment != environment]
        same = [other for other in others if _same_model(other.facts, entry.facts)]
        models[label] = tuple(sorted((entry, *same), key=lambda each: msgspec.structs.astuple(each.environment)))
    return Lock(models=models)


def _kept(facts: ModelFacts) -> ModelFacts:
    """What does not change from run to run; whole numbers without a decimal point."""
    layers = tuple(LayerFacts(path=one.path, type=one.type, values=_whole(one.values)) for one in facts.layers)
    return msgspec.structs.replace(facts, values=_whole(facts.values), layers=layers, cost_s={}, notes=())


def _whole(values: Mapping[str, float]) -> dict[str, float]:
    return {name: int(value) if float(value).is_integer() else value for name, value in values.items()}


def _same_model(one: ModelFacts, other: ModelFacts) -> bool:
    of_model = [name for name, kind in FACTS.items() if not kind.of_machine]
    shared = [name for name in of_model if name in one.values and name in other.values]
    return (
        one.circumstances == other.circumstances
        and one.dtypes == other.dtypes
        and all(one.values[name] == other.values[name] for name in shared)
    )
