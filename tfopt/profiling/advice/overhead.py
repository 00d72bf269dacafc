"""Time in which no layer computes: retracing, waiting, starting ops, Python."""

from __future__ import annotations

from collections.abc import Iterator

from tfopt.profiling.advice.commands import compare_batches, compare_programs, profile_with
from tfopt.profiling.advice.shares import NOTABLE, op_share, phase_share, severity_of
from tfopt.profiling.advice.wording import counted, listed, percent
from tfopt.records.advice import Advice
from tfopt.records.profile import ProfileRecord
from tfopt.trace.scopes import OPTIMIZER

__all__ = ["eager", "input_bound", "optimizer_share", "python_functions", "retracing", "small_batch"]

_NOTABLE_INPUT = 0.1
_NOTABLE_IDLE = 0.2
_NOTABLE_UPDATE = 0.2
_GROWTH = 4  # the batch that is proposed, over the present one
_PYTHON = ("PyFunc", "PyFuncStateless", "EagerPyFunc")


def retracing(record: ProfileRecord) -> Iterator[Advice]:
    """A step that was traced more than once, and the argument that caused it."""
    step = record.step
    if step.retraces:
        cause = step.retrace_causes[0]
        yield Advice(
            id="retracing",
            severity="high",
            message=f"the step was traced {step.retraces + 1} times: {cause.argument} changed from {cause.before} to "
            f"{cause.after}; the first tracing took {step.compile_s:.1f} s",
            action="keep shapes and dtypes fixed: drop the last partial batch, pad to one length",
            evidence={"retraces": step.retraces, "first_step_s": step.compile_s},
        )


def input_bound(record: ProfileRecord) -> Iterator[Advice]:
    """A step that waits for its data."""
    share = phase_share(record, "input")
    if share >= _NOTABLE_INPUT:
        yield Advice(
            id="input-bound",
            severity=severity_of(share),
            message=f"{percent(share)} of the step is waiting for data ({record.step.input_ms:.1f} ms)",
            action="make batches in parallel and ahead: map(..., num_parallel_calls=AUTOTUNE), cache, prefetch",
            evidence={"share": share, "input_ms": record.step.input_ms},
            gain_low=0.0,
            gain_high=share,
            command=profile_with(record, "--data", "synthetic"),
        )


def small_batch(record: ProfileRecord) -> Iterator[Advice]:
    """A step of which much is the same for any number of examples: between ops, and around them."""
    fixed = record.coverage.idle + record.coverage.executor
    if fixed >= _NOTABLE_IDLE and not record.run.eager:
        saved = 1 - 1 / _GROWTH
        size = record.run.batch_size
        yield Advice(
            id="small-batch",
            severity=severity_of(fixed * saved),
            message=f"{percent(fixed)} of the step is idle or TensorFlow's own work around ops, whatever the batch",
            action=f"a batch of {_GROWTH * size} takes less per example; for fit also set steps_per_execution",
            evidence={"idle_share": record.coverage.idle, "executor_share": record.coverage.executor},
            gain_low=fixed * saved / 2,
            gain_high=saved,
            command=compare_batches(record, [size, 2 * size, _GROWTH * size]),
        )


def optimizer_share(record: ProfileRecord) -> Iterator[Advice]:
    """An update that takes long beside forward and backward."""
    share = phase_share(record, "optimizer")
    fact = record.facts.get("optimizer_updates") if record.facts else None
    if share >= _NOTABLE_UPDATE and fact is not None:
        small, variables = int(fact.numbers["small_variables"]), int(fact.numbers["variables"])
        many = f", {small} of them small: {fact.count:,} ops" if small > variables / 2 else ""
        size = record.run.batch_size
        saved = 1 - 1 / _GROWTH
        yield Advice(
            id="optimizer-share",
            severity=severity_of(share * saved),
            message=f"{percent(share)} of the step updates {counted(variables, 'variable')}{many}, whatever the batch",
            action=f"a batch of {_GROWTH * size} takes less per example",
            evidence={"share": share, "ops": fact.count, **fact.numbers},
            gain_low=share * saved * 0.7,
            gain_high=saved,
            command=compare_batches(record, [size, 2 * size, _GROWTH * size]),
            layers=(OPTIMIZER,),
        )


def python_functions(record: ProfileRecord) -> Iterator[Advice]:
    """Calls back into Python from the graph."""
    fact = record.facts.get("python_function") if record.facts else None
    share = op_share(op for op in record.ops if op.type in _PYTHON)
    if fact is not None and share >= NOTABLE:
        yield Advice(
            id="python-functions",
            severity=severity_of(share),
            message=f"{percent(share)} of the step: {counted(fact.count, 'Python function')} "
            f"({listed(fact.layers) or 'outside all layers'}), one at a time under Python's lock",
            action="write them with TensorFlow's or Keras's ops",
            evidence={"share": share, "ops": fact.count},
            gain_low=share * 0.5,
            gain_high=share + record.coverage.unattributed + record.coverage.idle,  # what they run inside and wait for
            layers=fact.layers,
        )


def eager(record: ProfileRecord) -> Iterator[Advice]:
    """A step that runs op by op from Python."""
    if record.run.eager:
        idle = record.coverage.idle
        yield Advice(
            id="eager",
            severity="high",
            message=f"Python starts every op by itself, and none was running for {percent(idle)} of the step",
            action="run it as a graph",
            evidence={"idle_share": idle, "ops_per_step": sum(op.per_step for op in record.ops)},
            gain_low=idle,
            gain_high=1.0,
            command=compare_programs(record, "graph", "eager"),
        )
