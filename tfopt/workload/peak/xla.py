"""The memory of an XLA program, from its buffer assignment: exact before TensorFlow's allocator cuts chunks for it."""

from __future__ import annotations

from collections.abc import Sequence

from tfopt.records.memory import MemoryInfo
from tfopt.workload.peak.allocator import COUNTED_BYTES, replay
from tfopt.workload.peak.liveness import Event

__all__ = ["xla_memory"]


def xla_memory(buffers: Sequence[int], weights: Sequence[int], slots: Sequence[int]) -> MemoryInfo:
    """The memory of a step whose program allocates `buffers` beside weights and slots; all in bytes each."""
    variables = (*weights, *slots)
    standing = [Event(number, size, None) for number, size in enumerate(variables) if size]
    made = [Event(len(variables) + number, size, 0) for number, size in enumerate(buffers) if size]
    in_use = replay([*standing, *made, *(Event(event.buffer, -event.bytes, 0) for event in made)])
    tensors = sum(event.bytes for event in made)
    peak = max(in_use, default=0)
    return MemoryInfo(
        source="xla_buffers",
        estimate_bytes=sum(variables) + peak,
        weight_bytes=sum(weights),
        slot_bytes=sum(slots),
        gradient_bytes=0,
        activation_bytes=0,
        temporary_bytes=tensors,
        peak_layer=None,
        allocator_bytes=peak - tensors,
        uncounted_bytes=sum(event.bytes for event in made if event.bytes < COUNTED_BYTES),
    )
