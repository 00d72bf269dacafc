"""What a process that measures memory is asked, and what it answers: one JSON object each."""

from __future__ import annotations

import msgspec

from tfopt.records.memory import MemoryInfo
from tfopt.workload.duel.contestant import Contestant

__all__ = ["Answer", "Asked", "Failure"]


class Asked(msgspec.Struct, frozen=True):
    """Measure `steps` steps of this."""

    contestant: Contestant
    steps: int


class Answer(msgspec.Struct, frozen=True, tag=True):
    """What was measured: `added_bytes` per step, None where TensorFlow counts nothing; `resident_bytes` is the peak of
    the whole process. `estimate` is that of the program which ran, `bound` the lower bound from before it was compiled
    with XLA."""

    estimate: MemoryInfo
    added_bytes: tuple[int, ...] | None
    resident_bytes: int
    bound: MemoryInfo | None = None


class Failure(msgspec.Struct, frozen=True, tag=True):
    """A TfoptError: its class, message and hint."""

    kind: str
    message: str
    hint: str
