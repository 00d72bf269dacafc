"""What a foreign trace cannot tell, in plain words."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from tfopt.records.base import Note
from tfopt.records.trace import TraceRecord

__all__ = ["findings"]

_MARK_STEPS = (
    "record each step inside tf.profiler.experimental.Trace(..., step_num=i) or jax.profiler.StepTraceAnnotation"
)


def findings(record: TraceRecord, programs: int) -> TraceRecord:
    """`record` with its notes; `programs` counts the XLA programs that the trace holds."""
    return msgspec.structs.replace(record, notes=tuple(_notes(record, programs)))


def _notes(record: TraceRecord, programs: int) -> Iterator[Note]:
    if record.steps is None:
        yield Note(
            message="the trace marks no steps: times are sums over all that was recorded, not per step",
            hint=_MARK_STEPS,
        )
    if record.scopes:
        yield Note(
            message="rows are name scopes, not registered layers: a layer that opens no scope has no row, and a fused "
            "kernel counts whole for the op that it is named after"
        )
    else:
        yield Note(message="the names of ops carry no scopes: there are no layer rows")
    if record.where == "host":
        yield Note(message="the trace has no events of devices: what is shown ran on the host")
        return
    if not programs:
        yield Note(message="the trace holds no XLA programs (HLO): ops are named by what the kernels say")
    if all(op.phase == "other" for op in record.ops):
        yield Note(message="no name tells whether an op belongs to a forward or a backward pass")
    if not record.host_ops:
        yield Note(message="the trace holds no ops of the host: why the devices were idle is not in it")
    if record.empty_devices:
        planes = record.empty_devices + len(record.devices)
        yield Note(message=f"{record.empty_devices} of {planes} device planes hold no events")
