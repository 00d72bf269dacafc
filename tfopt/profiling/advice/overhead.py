"""Time in which no layer computes: retracing, waiting, starting ops, Python."""

from __future__ import annotations

from collections.abc import Iterator

from tfopt.profiling.advice.commands import compare_batches, compare_programs, profile_with
from tfopt.profiling.advice.shares import NOTABLE, fixed_share, on_cpu, phase_share, severity_of
from tfopt.profiling.advice.waste import update_share
from tfopt.profiling.advice.wording import listed
from tfopt.records.advice import Advice
from tfopt.records.profile import ProfileRecord
from tfopt.report.units import percent
from tfopt.trace.scopes import OPTIMIZER
from tfopt.wording import counted

__all__ = ["eager", "input_bound", "optimizer_share", "python_functions", "retracing", "small_batch"]

_NOTABLE_INPUT = 0.1
_NOTABLE_IDLE = 0.2
_NOTABLE_UPDATE = 0.2
_GROWTH = 4  # the batch that is proposed, over the present one
_LARGE = 1024  # a batch: larger ones are nobody's oversight
_SPARED = 1 - 1 / _GROWTH  # per example, of what is the same for any batch
_PYTHON = ("PyFunc", "PyFuncStateless", "EagerPyFunc")


def retracing(record: ProfileRecord) -> Iterator[Advice]:
    """A step that was traced more than once, and the argument that caused it. Once more is an epoch's last batch."""
    step = record.step
    if step.retraces:
        cause = step.retrace_causes[0]
        yield Advice(
            id="retracing",
            severity="high" if step.retraces > 1 else "low",
            message=f"the step was traced {step.retraces + 1} times: {cause.argument} changed from {cause.before} to "
            f"{cause.after}; the first tracing took {step.compile_s:.1f} s",
            action="keep shapes and dtypes fixed: drop the last partial batch, pad to one length",
            evidence={"retraces": step.retraces, "first_step_s": step.compile_s},
        )


def input_bound(record: ProfileRecord) -> Iterator[Advice]:
    """A step that waits for its data: untraced steps tell, on any device."""
    share = record.step.input_ms / record.step.median_ms
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
    fixed, size = fixed_share(record), record.run.batch_size
    if fixed >= _NOTABLE_IDLE and size <= _LARGE and not record.run.eager:
        fit = "; for fit also set steps_per_execution" if record.run.mode == "train" else ""
        yield Advice(
            id="small-batch",
            severity=severity_of(fixed * _SPARED),
            message=f"{percent(fixed)} of the step is idle or TensorFlow's own work around ops, whatever the batch",
            action=f"a batch of {_GROWTH * size} takes less per example{fit}",
            evidence={"idle_share": record.coverage.idle, "executor_share": record.coverage.executor},
            gain_low=fixed * _SPARED / 2,
            command=compare_batches(record, [size, 2 * size, _GROWTH * size]),
        )


def optimizer_share(record: ProfileRecord) -> Iterator[Advice]:
    """An update that takes long beside forward and backward, that of whole Embedding tables not counted."""
    fact = record.facts.get("optimizer_updates") if record.facts else None
    if record.facts is None or fact is None:
        return
    told = update_share(record, record.facts.all("dense_embedding_update"))  # by a rule of its own
    share, size = phase_share(record, "optimizer") - told, record.run.batch_size
    if share >= _NOTABLE_UPDATE and size <= _LARGE:
        small, variables = int(fact.numbers["small_variables"]), int(fact.numbers["variables"])
        many = f", {small} of them small: {fact.count:,} ops" if small > variables / 2 else ""
        yield Advice(
            id="optimizer-share",
            severity=severity_of(share * _SPARED),
            message=f"{percent(share)} of the step updates {counted(variables, 'variable')}{many}, whatever the batch",
            action=f"a batch of {_GROWTH * size} takes less per example",
            evidence={"share": share, "ops": fact.count, **fact.numbers},
            gain_low=share * _SPARED * 0.7,
            command=compare_batches(record, [size, 2 * size, _GROWTH * size]),
            layers=(OPTIMIZER,),
        )


def python_functions(record: ProfileRecord) -> Iterator[Advice]:
    """Calls back into Python from the graph."""
    fact = record.facts.get("python_function") if record.facts else None
    ran = [(op.share * part.fraction, part) for op in record.ops if op.type in _PYTHON for part in op.placed]
    share = sum(part for part, _ in ran)
    unplaced = sum(part for part, place in ran if place.phase == "unattributed")
    if fact is not None and share >= NOTABLE:
        yield Advice(
            id="python-functions",
            severity=severity_of(share),
            message=f"{percent(share)} of the step: {counted(fact.count, 'Python function')} "
            f"({listed(fact.layers) or 'outside all layers'}), one at a time under Python's lock",
            action="write them with TensorFlow's or Keras's ops",
            evidence={"share": share, "ops": fact.count},
            gain_low=share * 0.5,
            # with what they run inside and wait for
            gain_high=min(1.0, share - unplaced + record.coverage.unattributed + record.coverage.idle),
            layers=fact.layers,
        )


def eager(record: ProfileRecord) -> Iterator[Advice]:
    """A step that runs op by op from Python."""
    if record.run.eager:
        ops = sum(op.per_step for op in record.ops)
        idle = record.coverage.idle if on_cpu(record) else None
        none_ran = f", and none was running for {percent(idle)} of the step" if idle else ""
        yield Advice(
            id="eager",
            severity="high",
            message=f"Python starts each of {ops:,.0f} ops by itself{none_ran}",
            action="run it as a graph",
            evidence={"ops_per_step": ops} | ({} if idle is None else {"idle_share": idle}),
            gain_low=idle,
            command=compare_programs(record, "graph", "eager"),
        )
