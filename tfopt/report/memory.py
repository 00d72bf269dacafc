"""The memory of a step in phrases and rows, for every screen that shows it."""

from __future__ import annotations

from tfopt.records.memory import MemoryInfo
from tfopt.report import units

__all__ = ["parts", "phrases"]

# Where more of the estimate than this is in tensors that nobody counts, the measurement is not the answer.
_BLIND = 0.05


def parts(memory: MemoryInfo) -> list[tuple[str, int]]:
    """What the estimate is made of, without what is nothing; under XLA all but weights and slots is `buffers`."""
    xla = memory.source.startswith("xla")
    rows = [
        ("weights", memory.weight_bytes),
        ("slots", memory.slot_bytes),
        ("gradients", memory.gradient_bytes),
        ("activations", memory.activation_bytes),
        ("buffers" if xla else "temporaries", memory.temporary_bytes),
        ("allocator", memory.allocator_bytes),
    ]
    return [(name, size) for name, size in rows if size]


def phrases(memory: MemoryInfo | None) -> list[str]:
    """The memory of a step in one line: its peak, what that is made of, and the layer at work."""
    if memory is None:
        return []
    estimate, measured = memory.estimate_bytes, memory.measured_bytes
    if estimate is None:
        return [] if measured is None else [f"memory {units.size(measured)} at the peak of a step"]
    made_of = ", ".join(f"{name} {units.size(size)}" for name, size in parts(memory))
    where = [f"most at {memory.peak_layer}"] if memory.peak_layer else []
    if memory.source == "xla_lower_bound":
        return [f"memory at least {units.size(estimate)}: {made_of}", *where]
    if measured is None:
        return [f"memory about {units.size(estimate)} at the peak of a step: {made_of}", *where]
    if memory.uncounted_bytes > _BLIND * estimate:
        counted = f"TensorFlow counts {units.size(measured)}, nothing below 256 KiB"
        return [f"memory about {units.size(estimate)} at the peak of a step: {made_of}", *where, counted]
    head = f"memory {units.size(measured)} at the peak of a step"
    return [head, f"estimate {units.size(estimate)}: {made_of}", *where]
