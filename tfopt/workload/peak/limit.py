"""The largest batch of a workload that stays within a memory limit: proposed by the estimate, verified by running it
in fresh processes."""

from __future__ import annotations

import math
import os
import statistics
from dataclasses import replace

import keras
import tensorflow as tf

from tfopt.errors import RunFailed, UsageError
from tfopt.records.memory import MemoryLimit
from tfopt.report.progress import ProgressCallback
from tfopt.report.units import size
from tfopt.workload.batch import DRAWN_BYTES, most_examples
from tfopt.workload.limits import available_memory
from tfopt.workload.peak.estimate import liveness
from tfopt.workload.peak.fresh import Killed, measured
from tfopt.workload.peak.messages import Answer
from tfopt.workload.peak.search import attempt, search
from tfopt.workload.workers.contestant import Contestant
from tfopt.workload.workload import Workload

__all__ = ["batch_within"]

# What a process takes besides its step: TensorFlow, the model's file, the batch. And of the rest only so much.
_PROCESS_BYTES, _SAFE = 10**9, 0.8
# XLA's programs take up to four times what the graph does (docs/memory.md): the first try is so much smaller.
_XLA_FACTOR = 4.0


def batch_within(limit: int, workload: Workload, contestant: Contestant, progress: ProgressCallback) -> MemoryLimit:
    """The largest batch of `workload` of which a step takes at most `limit` bytes; `contestant` says how to load it.

    No batch is run that is estimated to need more than this machine has. Raises UsageError where there is no
    estimate, RunFailed where TensorFlow counts no memory here, and whatever a step of a batch raises.
    """
    runs: dict[int, Answer] = {}

    def run(batch: int) -> int | None:
        progress(f"measuring a step with batch {batch}", None)
        options = contestant.options if batch == workload.batch.size else replace(contestant.options, batch_size=batch)
        try:
            runs[batch] = measured(replace(contestant, options=options))
        except Killed:
            return None
        return _taken(runs[batch])

    available = available_memory()
    if available is None:
        available = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    machine = int(_SAFE * (available - _PROCESS_BYTES))
    start, inputs, reason = workload.batch.size, workload.batch.inputs, _fixed(workload)
    if reason:
        found = attempt(start, lambda batch: _bytes(workload, batch), run, limit, machine)
    else:
        ratio = _XLA_FACTOR if workload.xla else 1.0
        room = machine // (DRAWN_BYTES * sum(math.prod(info.shape[1:]) for info in inputs))
        most = min(room, most_examples(inputs))
        found = search(lambda batch: _bytes(workload, batch), run, limit, machine, start, ratio, most)
        if found.fits and found.fits.batch == most:
            reason = "no larger batch is drawn here"
    fits, over = found.fits, found.over
    return MemoryLimit(
        limit_bytes=limit,
        batch_size=fits.batch if fits else None,
        measured_bytes=fits.bytes if fits else None,
        uncounted_bytes=runs[fits.batch].estimate.uncounted_bytes if fits else 0,
        resident_bytes=runs[fits.batch].resident_bytes if fits else None,
        over_batch_size=over.batch if over else None,
        over_bytes=over.bytes if over else None,
        over=None if not over else "estimated" if not found.over_ran else "measured" if over.bytes else "killed",
        reason=f"this machine has {size(machine)} to spare for it" if found.machine else reason,
    )


def _fixed(workload: Workload) -> str:
    """Why no batch of another size can be tried; empty where it can."""
    if workload.batch.source != "synthetic":
        return f"{workload.batch.source} makes the batch"
    if any(tensor.shape[0] is not None for tensor in getattr(workload.model, "inputs", None) or ()):
        return "the model fixes its batch"
    if not all(
        isinstance(tensor, tf.Tensor) for tensor in keras.tree.flatten(workload.batch.arguments) if tensor is not None
    ):
        return "sparse and ragged batches have no size of their own"
    return ""


def _bytes(workload: Workload, batch: int) -> int:
    memory = liveness(workload, None if batch == workload.batch.size else batch)
    if memory.estimate_bytes is None:
        raise UsageError(
            "the memory of this step cannot be estimated: its graph does not tell all shapes",
            "leave --memory-limit out, and give free dimensions with --input-shape",
        )
    return memory.estimate_bytes - memory.allocator_bytes  # chunks come in leaps: running tells what they add


def _taken(answer: Answer) -> int:
    """What TensorFlow counted, and what it does not, as estimated: of a batch of which most is in small tensors the
    counter alone sees the least."""
    if answer.added_bytes is None:
        raise RunFailed(
            "TensorFlow counts no memory on this device", "leave --memory-limit out; its oneDNN build for x86 counts"
        )
    memory, added = answer.estimate, int(statistics.median(answer.added_bytes))
    return memory.weight_bytes + memory.slot_bytes + added + memory.uncounted_bytes
