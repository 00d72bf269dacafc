"""The memory of the step that was profiled: estimated from its program, measured over its untraced steps.

What cannot be estimated is told in a note: it may not fail a profile.
"""

from __future__ import annotations

import msgspec

from tfopt.profiling.telling import told
from tfopt.records.base import Note
from tfopt.records.memory import MemoryInfo
from tfopt.trace.hlo_buffers import largest_buffers
from tfopt.trace.xspace import Space
from tfopt.workload.peak.estimate import estimate, unknown, variable_bytes
from tfopt.workload.peak.xla import xla_memory
from tfopt.workload.workload import Workload

__all__ = ["memory_of"]


def memory_of(workload: Workload, space: Space, added_bytes: int | None) -> tuple[MemoryInfo, tuple[Note, ...]]:
    """The memory of a workload whose trace is `space`; its steps added at most `added_bytes` (None: nobody counts)."""
    notes: list[Note] = []
    memory = unknown(workload)
    with told("the memory of a step could not be estimated", notes):
        buffers = largest_buffers(space) if workload.xla else ()
        memory = xla_memory(buffers, *variable_bytes(workload)) if buffers else estimate(workload)
    if added_bytes is not None:
        measured = memory.weight_bytes + memory.slot_bytes + added_bytes
        memory = msgspec.structs.replace(memory, measured_bytes=measured)
    return memory, tuple(notes)
