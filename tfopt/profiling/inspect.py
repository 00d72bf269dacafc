"""`tfopt inspect`: load a model, and say what each layer of its step costs without running it."""

from __future__ import annotations

import contextlib
import datetime
import os
import platform
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import msgspec

import tfopt
from tfopt.errors import UsageError
from tfopt.model.said import said_as_notes
from tfopt.model.source import identify
from tfopt.records.base import Note
from tfopt.records.cost import LayerCost
from tfopt.records.inspection import CostTotals, InspectionInfo, InspectionRecord
from tfopt.report.progress import ProgressCallback, silent
from tfopt.report.units import bytes_of
from tfopt.wording import listed
from tfopt.workload.options import Options, check_numbers
from tfopt.workload.runtime import import_tensorflow, set_threads, threads_used
from tfopt.workload.workers.contestant import Contestant

if TYPE_CHECKING:  # these import TensorFlow, which is loaded quietly and late
    from tfopt.workload.device import Placement
    from tfopt.workload.workload import Workload

__all__ = ["inspect"]


def inspect(
    model: Any,
    *,
    mode: Literal["train", "infer"] | None = None,
    batch_size: int | None = None,
    input_shape: Sequence[str] = (),
    input_size: int | None = None,
    data: str = "synthetic",
    loss: str | None = None,
    optimizer: str | None = None,
    precision: str | None = None,
    xla: bool | None = None,
    seed: int = 0,
    threads: int | None = None,
    memory_limit: str | int | None = None,
    imports: Sequence[str] = (),
    unsafe: bool = False,
    command: str = "tfopt.inspect",
    progress: ProgressCallback = silent,
) -> InspectionRecord:
    """What each layer of a saved model, or of a Keras model object, costs per step, and the memory of that step.

    No step runs, except in processes of their own for a `memory_limit`.

    Args:
        model: a path (`.keras`, `.h5`, SavedModel folder), `app:NAME`, or a built Keras model, which is left as it was:
            weights, optimizer, compile state and dtype policies.
        mode: `train` for a whole training step, `infer` for the forward pass; None: `train` where there is something to
            train.
        batch_size: examples per step; default 32, or what the data has.
        input_shape: shapes without the batch for free dimensions, such as `("96,96,3",)` or `("tokens=128",)`.
        input_size: height and width for `app:NAME`.
        data: `synthetic`, `FILE.npz`, or `package.module:function` that returns a batched `tf.data.Dataset`; only its
            shapes matter.
        loss, optimizer: Keras names that replace the model's own.
        precision: `float32`, `mixed_float16`, `mixed_bfloat16`, `float16` or `bfloat16`; None keeps what the file has.
        xla: the step is to be compiled with XLA: its memory is then known as a lower bound alone.
        seed: for synthetic data and for random weights.
        threads: threads for ops; None leaves TensorFlow's choice. The memory of a step depends on them.
        memory_limit: find the largest batch of which a step takes at most so much (`8GiB`, `800MB`, or bytes).
        imports: modules with the model's custom classes.
        unsafe: allow Lambda layers to run code from the file.
        command: the command line, for the record.
        progress: called with a stage and the fraction done (None while unknown).

    Raises:
        UsageError, InputError, RunFailed: with a hint that mends it.
    """
    check_numbers(batch_size=batch_size, input_size=input_size, threads=threads)
    limit = _limit(memory_limit, model)
    options = Options(mode or "train", batch_size, tuple(input_shape), data, loss, optimizer, precision, xla, seed=seed)
    started_at = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    name = identify(str(model)).name if isinstance(model, str | os.PathLike) else str(getattr(model, "name", "model"))
    with contextlib.ExitStack() as stack:
        progress("loading TensorFlow", None)
        import_tensorflow()
        set_threads(threads)

        from tfopt.profiling.costing import traced_costs
        from tfopt.profiling.subject import loaded_or_given, model_info
        from tfopt.workload.device import place
        from tfopt.workload.failures import StepUnsound, explained, file_at_fault
        from tfopt.workload.peak.estimate import estimate
        from tfopt.workload.peak.limit import batch_within
        from tfopt.workload.prepared import prepared
        from tfopt.workload.scope_names import usable_scopes

        placement = place("cpu")
        stack.enter_context(placement.scope())
        progress(f"loading {name}", None)
        loaded = loaded_or_given(model, imports, unsafe, input_size, options.seed, stack)
        if mode is None and not getattr(loaded.model, "trainable_variables", ()):
            options = replace(options, mode="infer")
        said: list[Note] = []
        with said_as_notes(said), file_at_fault(loaded.source, options):
            workload = prepared(loaded, options, placement)
            progress("counting", None)
            with explained("tracing the model", StepUnsound), usable_scopes():
                layers = traced_costs(workload.model, workload.batch, options.mode)
            progress("tracing the step", None)
            try:
                with explained("tracing the step", StepUnsound):
                    memory = estimate(workload)
            except StepUnsound as error:  # its layers can be counted all the same
                if limit is not None:
                    raise
                memory = None
                said.append(Note(message=f"the memory of a step is not known: {error.message}", hint=error.hint))
        contestant = Contestant(name, str(model), options, "cpu", threads, tuple(imports), unsafe, input_size)
        found = None if limit is None else batch_within(limit, workload, contestant, progress)
        if found is not None and isinstance(memory_limit, str):
            found = msgspec.structs.replace(found, asked=memory_limit.strip())
        return InspectionRecord(
            model=model_info(loaded, workload.model),
            run=_info(options, workload, placement, command, started_at),
            totals=CostTotals.of(layers),
            layers=layers,
            memory=memory,
            limit=found,
            notes=(*loaded.notes, *workload.notes, *said, *_remarks(layers, workload)),
        )


def _limit(given: str | int | None, model: Any) -> int | None:
    """The bytes that a person allows. UsageError where that is no size, or no other process can load the model."""
    if given is None:
        return None
    if not isinstance(model, str | os.PathLike):
        raise UsageError("a memory limit is for saved models: batches run in fresh processes", "save the model first")
    try:
        limit = given if isinstance(given, int) else bytes_of(given)
        if limit < 1:
            raise ValueError(f"{limit} is not a size")
        return limit
    except ValueError as error:
        raise UsageError(str(error), "write a size with its unit, such as 8GiB, 800MB or 1.5GB") from error


def _info(options: Options, workload: Workload, placement: Placement, command: str, started_at: str) -> InspectionInfo:
    import keras
    import tensorflow as tf

    from tfopt.profiling.subject import saved_precision

    return InspectionInfo(
        mode=options.mode,
        precision=options.precision or saved_precision(workload.model),
        batch_size=workload.batch.size,
        inputs=workload.batch.inputs,
        optimizer=workload.optimizer,
        loss=workload.loss,
        device=placement.name,
        xla=workload.xla,
        threads=threads_used(),
        seed=options.seed,
        command=command,
        started_at=started_at,
        tfopt=tfopt.__version__,
        python=platform.python_version(),
        tensorflow=tf.__version__,
        keras=keras.__version__,
    )


def _remarks(layers: Sequence[LayerCost], workload: Workload) -> Iterator[Note]:
    by_ops = [row for row in layers if row.source == "ops" and row.forward_flops]
    if by_ops and layers[0].type == "SavedModel":
        yield Note(message="a SavedModel has no layers that could be asked: its ops are counted, by their name scopes")
    elif by_ops:
        yield Note(
            message=f"there is no formula for {_named(by_ops)}: counted from the ops that {_they(by_ops)}",
            hint="their gradients are taken to cost as much as they do, those of products twice as much"
            if workload.step.trains
            else "",
        )
    incomplete = [row for row in layers if row.detail]
    if incomplete:
        yield Note(message=f"not all could be counted in {_named(incomplete)}: {incomplete[0].detail}")
    unused = [row for row in layers if not row.calls and row.params]
    if unused:
        yield Note(message=f"never called in this step: {_named(unused)}")
    if workload.step.trains and workload.step.source != "tfopt":
        yield Note(message=f"{workload.step.source} decides what a step is; counted is one forward and backward pass")


def _they(rows: Sequence[LayerCost]) -> str:
    return "they make" if len(rows) > 1 else "it makes"


def _named(rows: Sequence[LayerCost]) -> str:
    return listed([f"{row.path.rpartition('/')[2]} ({row.type})" for row in rows])
