"""What is known of a model for certain, without timing anything: counts that a budget can hold, with their layers."""

from __future__ import annotations

from typing import Literal

import msgspec

from tfopt.records.base import Note, Record

__all__ = ["LOCK_SCHEMA", "Environment", "LayerFacts", "Lock", "LockedModel", "ModelFacts"]

LOCK_SCHEMA: Literal["tfopt.lock/1"] = "tfopt.lock/1"


class LayerFacts(Record, frozen=True, kw_only=True):
    """What one layer has of some facts, by their names, so that a change can be told by layer."""

    path: str
    type: str
    values: dict[str, float]


class ModelFacts(Record, frozen=True, kw_only=True):
    """The facts of one model by name (`tfopt.records.fact_kinds` defines them), the numbers of its weights by dtype,
    and the CPU seconds that finding each costly fact took. A fact that could not be found is not in `values`; a note
    that begins with its name says why. `circumstances` is how the step was asked for, where facts depend on it."""

    values: dict[str, float]
    dtypes: dict[str, int]
    layers: tuple[LayerFacts, ...] = ()
    cost_s: dict[str, float]
    circumstances: dict[str, str] = msgspec.field(default_factory=dict)
    notes: tuple[Note, ...] = ()


class Environment(Record, frozen=True, kw_only=True):
    """What facts may depend on: versions, and the CPU (XLA compiles for its instructions) with its threads."""

    tensorflow: str
    keras: str
    cpu: str


class LockedModel(Record, frozen=True, kw_only=True):
    """The facts of one model as they were in one environment."""

    environment: Environment
    facts: ModelFacts


class Lock(Record, frozen=True, kw_only=True):
    """The file `tfopt.lock.json`: by a model's label what was accepted, once for each environment."""

    schema: Literal["tfopt.lock/1"] = LOCK_SCHEMA
    models: dict[str, tuple[LockedModel, ...]]
