"""The memory of a step in phrases and rows, for every screen that shows it."""

from __future__ import annotations

from tfopt.records.memory import MemoryInfo, MemoryLimit
from tfopt.report import units

__all__ = ["limit_phrases", "parts", "phrases"]

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
    """The memory of a step: its peak, measured where that counts all of it, what it is made of, the layer at work."""
    if memory is None:
        return []
    estimate, measured = memory.estimate_bytes, memory.measured_bytes
    if estimate is None:
        return [] if measured is None else [f"memory {units.size(measured)} at the peak of a step"]
    made_of = [f"{name} {units.size(size)}" for name, size in parts(memory)]
    where = [f"most at {memory.peak_layer}"] if memory.peak_layer else []
    if memory.source == "xla_lower_bound":
        return [f"memory at least {units.size(estimate)} under XLA", *made_of]
    if measured is None:
        return [f"memory about {units.size(estimate)} at the peak of a step", *made_of, *where]
    if memory.uncounted_bytes > _BLIND * estimate:
        counted = f"TensorFlow counts {units.size(measured)}, and no tensor below 256 KiB"
        return [f"memory about {units.size(estimate)} at the peak of a step", *made_of, *where, counted]
    head = f"memory {units.size(measured)} at the peak of a step"
    return [head, f"estimate {units.size(estimate)}", *made_of, *where]


def limit_phrases(limit: MemoryLimit | None) -> list[str]:
    """The largest batch found within a limit, what it took, and what shows that a larger one does not fit."""
    if limit is None:
        return []
    allowed = _asked(limit)
    said = []
    if limit.batch_size is not None and limit.measured_bytes is not None:
        taken = units.size(limit.measured_bytes)
        said.append(f"batch {limit.batch_size} fits into {allowed}: a step took {taken}")
        if limit.uncounted_bytes > _BLIND * limit.measured_bytes:
            estimated = units.size(limit.uncounted_bytes)
            said.append(f"{estimated} of it estimated: TensorFlow counts no tensor below 256 KiB")
        said.append(f"its process {units.size(limit.resident_bytes or 0)}, with TensorFlow itself")
    elif limit.over_batch_size == 1:
        said.append(f"not even one example fits into {allowed}")
    else:
        said.append(f"no batch was found that fits into {allowed}")
    if limit.over_batch_size is not None:
        said.append(_over(limit, limit.over_batch_size))
    return [*said, limit.reason] if limit.reason else said


def _asked(limit: MemoryLimit) -> str:
    """The limit as it was written; one in powers of two also in the units that sizes are shown in."""
    size = units.size(limit.limit_bytes)
    return f"{limit.asked} ({size})" if "i" in limit.asked else limit.asked or size


def _over(limit: MemoryLimit, batch: int) -> str:
    if limit.over == "killed" or limit.over_bytes is None:
        return f"batch {batch} does not: its process was killed for memory"
    verb, taken = "took" if limit.over == "measured" else "would take", units.size(limit.over_bytes)
    same = taken == units.size(limit.limit_bytes)
    excess = f", {units.size(limit.over_bytes - limit.limit_bytes)} more" if same else ""
    return f"batch {batch} does not: it {verb} {taken}{excess}"
