"""TensorFlow at work: does it import, compile with XLA, and write a trace that our reader understands?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from tfopt.diagnosis.finding import note, ok, problem, unknown
from tfopt.diagnosis.installed import pinned
from tfopt.diagnosis.trial import Report
from tfopt.records.diagnosis import Finding
from tfopt.records.trace import TraceRecord
from tfopt.report.units import seconds, size

__all__ = ["CHECKS", "examine", "readable"]

_AGAIN = f"pip install --force-reinstall {pinned('tensorflow')}"
_SLOW_IMPORT_S = 20.0


def examine(report: Report) -> Iterator[Finding]:
    """All findings of the trial run."""
    for check in CHECKS:
        yield from check(report)


def imports(report: Report) -> Iterator[Finding]:
    """Whether TensorFlow and Keras can be imported."""
    found = report.found("import")
    if found is None:
        yield problem("tensorflow.import", f"TensorFlow cannot be imported: {report.error('import')}", _AGAIN)
        return
    took = seconds(found["seconds"])
    what = f"TensorFlow {found['tensorflow']} and Keras {found['keras']} imported in {took}"
    if found["seconds"] > _SLOW_IMPORT_S:
        yield note("tensorflow.import", f"{what}: the disk or the machine is slow")
    else:
        yield ok("tensorflow.import", what)


def xla(report: Report) -> Iterator[Finding]:
    """Whether a function compiled by XLA gives the right number."""
    found = report.found("xla")
    if found is None:
        yield _failed(report, "xla", "XLA cannot compile here", "unset XLA_FLAGS TF_XLA_FLAGS # then: " + _AGAIN)
    elif found["result"] != 2.0:
        yield problem("tensorflow.xla", f"XLA computes {found['result']} where 2 is right", _AGAIN)
    else:
        yield ok("tensorflow.xla", f"XLA compiles and runs ({seconds(found['seconds'])})")


def trace(report: Report) -> Iterator[Finding]:
    """Whether the profiler's file of one step holds what profiles are made of."""
    found = report.found("trace")
    if found is None:
        yield _failed(report, "trace", "the profiler does not work", _AGAIN)
        return
    try:
        from tfopt.trace.summary import read_trace

        record = read_trace(Path(found["file"]))
    except Exception as error:  # a protobuf or numpy that does not fit fails in any way
        yield problem("tensorflow.trace", f"a trace was written, but it cannot be read: {error}", _AGAIN)
        return
    yield from readable(record, every_op=found["every_op"], bytes=found["bytes"])


def readable(record: TraceRecord, *, every_op: bool, bytes: int) -> Iterator[Finding]:
    """Whether the trace of one step with a MatMul has the step and the op; `every_op`: also ops that take no time."""
    types = {op.type for op in record.ops}
    if not any("MatMul" in type for type in types):
        what = f"a traced step holds no MatMul, though one ran (ops found: {', '.join(sorted(types)) or 'none'})"
        yield problem("tensorflow.trace", what, _AGAIN)
    elif record.steps is None:
        yield problem("tensorflow.trace", "the trace of one step has no step marker", _AGAIN)
    else:
        what = f"a traced step was written ({size(bytes)}) and read back: {len(record.ops)} ops, 1 step marker"
        yield ok("tensorflow.trace", what)
    if not every_op:
        what = "TensorFlow records only ops over 8,000 cycles here: short ones are missing from profiles of loops"
        yield note("tensorflow.every_op", what, _AGAIN)


def _failed(report: Report, stage: str, what: str, mend: str) -> Finding:
    if stage in report.stages:
        return problem(f"tensorflow.{stage}", f"{what}: {report.error(stage)}", mend)
    return unknown(f"tensorflow.{stage}", report.error(stage))


CHECKS: tuple[Callable[[Report], Iterator[Finding]], ...] = (imports, trace, xla)
