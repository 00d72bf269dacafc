"""What memory XLA's programs take: the buffer assignment that is stored with each program of a trace."""

from __future__ import annotations

from typing import Any

from tfopt.trace.hlo import stored
from tfopt.trace.xspace import Space

__all__ = ["allocated", "largest_buffers"]


def largest_buffers(space: Space) -> tuple[int, ...]:
    """Bytes of each buffer that a run of the program allocates, of the program that allocates most; empty where there
    is none."""
    return max((allocated(proto) for _, proto in stored(space)), key=sum, default=())


def allocated(proto: Any) -> tuple[int, ...]:
    """Bytes of each buffer that a run of this program (an HloProto) allocates.

    Parameters (weights and slots, which are updated in place, and the batch) are there before, constants belong to
    the program, and thread-local buffers to the stack.
    """
    return tuple(
        allocation.size
        for allocation in proto.buffer_assignment.buffer_allocations
        if not (allocation.is_entry_computation_parameter or allocation.is_constant or allocation.is_thread_local)
    )
