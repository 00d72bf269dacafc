"""What the parent and the worker of a census tell each other."""

from __future__ import annotations

import msgspec

from tfopt.records.facts import ModelFacts
from tfopt.workload.workers.contestant import Contestant
from tfopt.workload.workers.messages import Doing, Refused

__all__ = ["Asked", "CensusMessage", "CensusTask", "Counted"]


class Asked(msgspec.Struct, frozen=True):
    """Find the facts of these names."""

    contestant: Contestant
    names: tuple[str, ...]


class CensusTask(msgspec.Struct, frozen=True):
    """The models to look at, one after the other."""

    asked: tuple[Asked, ...]


class Counted(msgspec.Struct, frozen=True, tag=True):
    """The facts of one model."""

    label: str
    facts: ModelFacts


CensusMessage = Doing | Counted | Refused
