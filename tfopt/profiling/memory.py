"""The memory of the step that was profiled: estimated from its program, measured over its untraced steps."""

from __future__ import annotations

import msgspec

from tfopt.records.memory import MemoryInfo
from tfopt.trace.hlo_buffers import largest_buffers
from tfopt.trace.xspace import Space
from tfopt.workload.peak.estimate import estimate, variable_bytes
from tfopt.workload.peak.xla import xla_memory
from tfopt.workload.workload import Workload

__all__ = ["memory_of"]


def memory_of(workload: Workload, space: Space, added_bytes: int | None) -> MemoryInfo:
    """The memory of a workload whose trace is `space`; its steps added at most `added_bytes` (None: nobody counts)."""
    buffers = largest_buffers(space) if workload.xla else ()
    memory = xla_memory(buffers, *variable_bytes(workload)) if buffers else estimate(workload)
    if added_bytes is None:
        return memory
    return msgspec.structs.replace(memory, measured_bytes=memory.weight_bytes + memory.slot_bytes + added_bytes)
