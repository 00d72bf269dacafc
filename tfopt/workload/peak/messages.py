"""What a process that measures memory is asked, and what it answers."""

from __future__ import annotations

import msgspec

from tfopt.records.memory import MemoryInfo
from tfopt.workload.workers.contestant import Contestant
from tfopt.workload.workers.messages import Doing, Refused

__all__ = ["Answer", "Asked", "Message"]


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


Message = Doing | Answer | Refused
