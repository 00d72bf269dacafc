"""Facts that the step's graph tells, as it was traced and as XLA compiles it; and what steps do that really run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import keras

from tfopt.errors import RunFailed
from tfopt.model.inputs import input_specs
from tfopt.profiling.census.subject import Found, Subject
from tfopt.profiling.census.xla_kernels import compilable
from tfopt.trace.hlo import instructions
from tfopt.trace.hlo_buffers import allocated
from tfopt.workload.failures import explained
from tfopt.workload.peak.estimate import estimate, variable_bytes
from tfopt.workload.peak.xla import xla_memory
from tfopt.workload.timing import finished

__all__ = ["fusions", "graph_ops", "hlo_instructions", "outside_xla", "peak_bytes", "retraces"]


def graph_ops(subject: Subject) -> Found:
    """The live ops of the step's graph."""
    return _counted(op.layer for op in subject.ops.ops)


def outside_xla(subject: Subject) -> Found:
    """The live ops that XLA has no kernel for: a step that must be compiled whole fails at the first of them, so that
    an attempt would not count them."""
    return _counted(op.layer for op in subject.ops.ops if not compilable(op.node))


def peak_bytes(subject: Subject) -> Found:
    """The memory of the step: by liveness, under XLA by its buffer assignment."""
    workload = subject.workload
    with explained("tracing the step"):
        in_xla = workload.xla
        memory = xla_memory(allocated(subject.hlo), *variable_bytes(workload)) if in_xla else estimate(workload)
    if memory.estimate_bytes is None:
        raise RunFailed("shapes in the step are not known before it runs", "tfopt profile measures its memory")
    return Found(memory.estimate_bytes)


def hlo_instructions(subject: Subject) -> Found:
    """All instructions, those inside fusions too."""
    return _instructions(subject)


def fusions(subject: Subject) -> Found:
    """Fusions, each by the layer of its root."""
    return _instructions(subject, "fusion")


def retraces(subject: Subject) -> Found:
    """Tracings of a step that runs on a batch, on other contents, and on a last smaller batch (unless the model fixes
    its batch). This changes the weights: it is found last."""
    workload = subject.workload
    run = workload.runner()
    with explained("the step"):
        for _ in range(3):  # of a pipeline three batches
            finished(run())
        finished(workload.step(*_rows(workload.batch.arguments, slice(None, None, -1))))
        specs = input_specs(workload.model, input_shape=subject.options.input_shape)
        fixed = any(spec.shape[0] is not None for spec in specs)
        if workload.batch.size > 1 and not fixed:
            finished(workload.step(*_rows(workload.batch.arguments, slice(None, -1))))
    return Found(len(workload.step.retraces()))


def _rows(arguments: Any, rows: slice) -> Any:
    return keras.tree.map_structure(lambda tensor: None if tensor is None else tensor[rows], arguments)


def _instructions(subject: Subject, *opcodes: str) -> Found:
    place = subject.compiled.scopes.table.place
    chosen = (name for opcode, name in instructions(subject.hlo) if not opcodes or opcode in opcodes)
    return _counted(found.layer if (found := place(name)) is not None else None for name in chosen)


def _counted(layers: Iterable[str | None]) -> Found:
    counts = Counter(layers)
    return Found(counts.total(), {layer: count for layer, count in counts.items() if layer is not None})
