"""TensorFlow's CPU allocator on paper: what it counts for a tensor is the chunk that holds it.

On x86 with oneDNN (`MklCPUAllocator` in tensorflow/core/common_runtime/mkl_cpu_allocator.h) tensors of 256 KiB and
more come from a best-fit arena, `BFCAllocator` (xla/tsl/framework/bfc_allocator.cc); smaller ones from malloc, and
nobody counts them. The arena splits a free chunk only where at least half of it would be left, so that a chunk may be
almost twice as large as its tensor.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from tfopt.workload.peak.liveness import Event

__all__ = ["COUNTED_BYTES", "Arena", "replay"]

COUNTED_BYTES = 256 * 1024
_ROUNDING = 256
_MOST_WASTE = 128 * 1024 * 1024
_FIRST_REGION = 1024 * 1024


@dataclass
class Chunk:
    """A piece of a region between its neighbours."""

    start: int
    size: int
    before: Chunk | None = None
    next: Chunk | None = None
    free: bool = True


@dataclass
class Arena:
    """A best-fit arena that joins free neighbours; it grows by regions that double in size and gives none back."""

    reserved: int = 0
    _free: list[tuple[int, int]] = field(default_factory=list)  # (size, start), sorted
    _chunks: dict[int, Chunk] = field(default_factory=dict)  # the free ones by start
    _region: int = _FIRST_REGION

    def allocate(self, size: int) -> Chunk:
        """The smallest free chunk that holds `size` bytes, split where much of it would be left."""
        size = -(-size // _ROUNDING) * _ROUNDING
        if not self._free or self._free[-1][0] < size:
            self._grow(size)
        chunk = self._chunks[self._free[bisect_left(self._free, (size, 0))][1]]
        self._take(chunk)
        if chunk.size >= 2 * size or chunk.size - size >= _MOST_WASTE:
            rest = Chunk(chunk.start + size, chunk.size - size, chunk, chunk.next)
            if rest.next:
                rest.next.before = rest
            chunk.size, chunk.next = size, rest
            self._give(rest)
        return chunk

    def release(self, chunk: Chunk) -> None:
        """Free a chunk and join it with its free neighbours."""
        if chunk.next and chunk.next.free:
            self._take(chunk.next)
            self._join(chunk, chunk.next)
        if chunk.before and chunk.before.free:
            self._take(chunk.before)
            chunk = self._join(chunk.before, chunk)
        self._give(chunk)

    def _join(self, left: Chunk, right: Chunk) -> Chunk:
        left.size, left.next = left.size + right.size, right.next
        if right.next:
            right.next.before = left
        return left

    def _grow(self, size: int) -> None:
        fits = self._region >= size
        while self._region < size:
            self._region *= 2
        self._give(Chunk(self.reserved, self._region))
        self.reserved += self._region
        if fits:
            self._region *= 2

    def _give(self, chunk: Chunk) -> None:
        chunk.free = True
        insort(self._free, (chunk.size, chunk.start))
        self._chunks[chunk.start] = chunk

    def _take(self, chunk: Chunk) -> None:
        chunk.free = False
        del self._free[bisect_left(self._free, (chunk.size, chunk.start))]
        del self._chunks[chunk.start]


def replay(events: Sequence[Event], steps: int = 3) -> list[int]:
    """Run a step's events several times over, since an arena that was used before is cut differently.

    Returns the bytes in use after each event of the last step (without those before the step, `op` None), less those
    in use before it. Tensors below COUNTED_BYTES count with their own size.
    """
    memory = _Memory()
    standing = [event for event in events if event.op is None]
    step = [event for event in events if event.op is not None]
    for event in standing:
        memory.allocate(event.buffer, event.bytes)
    added: list[int] = []
    for _ in range(steps):
        before, added = memory.in_use, []
        for event in step:
            if event.bytes > 0:
                memory.allocate(event.buffer, event.bytes)
            else:
                memory.release(event.buffer)
            added.append(memory.in_use - before)
        _replaced(memory, standing)
    return added


@dataclass
class _Memory:
    """What each buffer takes: a chunk of the arena, or its own size from malloc."""

    arena: Arena = field(default_factory=Arena)
    in_use: int = 0
    held: dict[int, tuple[int, Chunk | None]] = field(default_factory=dict)

    def allocate(self, buffer: int, size: int) -> None:
        chunk = self.arena.allocate(size) if size >= COUNTED_BYTES else None
        self.held[buffer] = (size, chunk)
        self.in_use += chunk.size if chunk else size

    def release(self, buffer: int) -> None:
        size, chunk = self.held.pop(buffer)
        self.in_use -= chunk.size if chunk else size
        if chunk:
            self.arena.release(chunk)


def _replaced(memory: _Memory, standing: Sequence[Event]) -> None:
    """A step gives variables new buffers of the same size: the next step knows these under the old numbers. What else
    is left is the step's result, which its caller drops."""
    missing = defaultdict[int, list[int]](list)
    for event in standing:
        if event.buffer not in memory.held:
            missing[event.bytes].append(event.buffer)
    for buffer in set(memory.held) - {event.buffer for event in standing}:
        size, _ = memory.held[buffer]
        if missing[size]:
            memory.held[missing[size].pop()] = memory.held.pop(buffer)
        else:
            memory.release(buffer)
