"""`tfopt profile`: load a model, make its step, time it, trace it, and say where the time goes."""

from __future__ import annotations

import contextlib
import datetime
import os
import platform
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from msgspec.structs import replace

import tfopt
from tfopt.model.said import said_as_notes
from tfopt.model.source import identify
from tfopt.records.base import Note
from tfopt.records.profile import ProfileRecord, RunInfo
from tfopt.report.progress import ProgressCallback, silent
from tfopt.report.runs import finish_run, unfinished_run
from tfopt.scratch import temporary_folder
from tfopt.workload.cpu import cpu_name
from tfopt.workload.options import Options, check_numbers
from tfopt.workload.runtime import import_tensorflow, set_threads, threads_used

if TYPE_CHECKING:  # these import TensorFlow, which is loaded quietly and late
    from tfopt.workload.device import Placement
    from tfopt.workload.workload import Workload

__all__ = ["profile"]


def profile(
    model: Any,
    *,
    mode: Literal["train", "infer"] = "train",
    batch_size: int | None = None,
    input_shape: Sequence[str] = (),
    input_size: int | None = None,
    data: str = "synthetic",
    loss: str | None = None,
    optimizer: str | None = None,
    precision: str | None = None,
    xla: bool | None = None,
    eager: bool = False,
    device: str = "auto",
    seed: int = 0,
    threads: int | None = None,
    steps: int | None = None,
    trace_steps: int | None = None,
    recalibrate: bool = False,
    influence: bool = True,
    imports: Sequence[str] = (),
    unsafe: bool = False,
    run_dir: str | os.PathLike[str] | None = None,
    command: str = "tfopt.profile",
    progress: ProgressCallback = silent,
) -> ProfileRecord:
    """Profile one step of a saved model or of a Keras model object: the record of the run.

    Args:
        model: a path (`.keras`, `.h5`, SavedModel folder), `app:NAME`, or a built Keras model, which is left as it was:
            weights, optimizer, compile state and dtype policies.
        mode: `train` for a whole training step, `infer` for the forward pass.
        batch_size: examples per step; default 32, or what the data has.
        input_shape: shapes without the batch for free dimensions, such as `("96,96,3",)` or `("tokens=128",)`.
        input_size: height and width for `app:NAME`.
        data: `synthetic`, `FILE.npz`, or `package.module:function` that returns a batched `tf.data.Dataset`.
        loss, optimizer: Keras names that replace the model's own.
        precision: `float32`, `mixed_float16`, `mixed_bfloat16`, `float16` or `bfloat16`; None keeps what the file has.
        xla: compile with XLA; None follows the model (never on CPU).
        eager: run op by op. Backward is then not split by layer.
        device: `auto`, `cpu`, `gpu[:N]`, `tpu[:NAME]`.
        seed: for synthetic data and for random weights.
        threads: threads for ops; None leaves TensorFlow's choice.
        steps: untraced steps to time; None measures at least 20 and for two seconds.
        trace_steps: steps to record under the profiler; None records half a second, 5 to 24 of them.
        recalibrate: measure the machine's roofs anew instead of reading what is kept of them.
        influence: look at path weights and at the health of signals and gradients as well; it costs about as much as
            compiling the step.
        imports: modules with the model's custom classes.
        unsafe: allow Lambda layers to run code from the file.
        run_dir: parent folder for a run folder with the record and the TensorBoard trace; None keeps nothing.
        command: the command line, for the record.
        progress: called with a stage and the fraction done (None while unknown).

    Raises:
        UsageError, InputError, RunFailed: with a hint that mends it.
    """
    check_numbers(batch_size=batch_size, steps=steps, trace_steps=trace_steps, threads=threads, input_size=input_size)
    options = Options(mode, batch_size, tuple(input_shape), data, loss, optimizer, precision, xla, eager, seed)
    started_at = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    given = isinstance(model, str | os.PathLike)
    name = identify(str(model)).name if given else str(getattr(model, "name", "model"))
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(temporary_folder() if run_dir is None else unfinished_run(run_dir))
        progress("loading TensorFlow", None)
        import_tensorflow()
        set_threads(threads)

        from tfopt.profiling.analysis import analyse
        from tfopt.profiling.costing import counted
        from tfopt.profiling.influence_summary import influence_summary, kept_weights
        from tfopt.profiling.measuring import measure_step
        from tfopt.profiling.subject import loaded_or_given, model_info
        from tfopt.workload.device import place
        from tfopt.workload.failures import file_at_fault
        from tfopt.workload.prepared import prepared

        placement = place(device)
        stack.enter_context(placement.scope())
        progress(f"loading {name}", None)
        loaded = loaded_or_given(model, imports, unsafe, input_size, seed, stack)
        said: list[Note] = []
        with said_as_notes(said), file_at_fault(loaded.source, options):
            workload = prepared(loaded, options, placement)
            weights = kept_weights(workload.model) if influence else ()
            measured = measure_step(workload, steps, trace_steps, folder, progress)
        costs, remarks = counted(workload, placement, recalibrate, progress)
        influenced, unknown = influence_summary(workload, weights, progress) if influence else (None, ())
        progress("reading the trace", None)
        step = measured.step_info(workload)
        analysis = analyse(measured, workload, step, precision, costs, placement.name)
        run = _run_info(options, workload, placement, step.samples, len(measured.trace.wall_ms), command, started_at)
        notes = (*loaded.notes, *workload.notes, *said, *remarks, *unknown)
        record = replace(analysis.record(model_info(loaded, workload.model), run, step, notes), influence=influenced)
        return record if run_dir is None else finish_run(folder, name, record, measured.trace.file)


def _run_info(
    options: Options,
    workload: Workload,
    placement: Placement,
    steps: int,
    trace_steps: int,
    command: str,
    started_at: str,
) -> RunInfo:
    import keras
    import tensorflow as tf

    from tfopt.profiling.subject import saved_precision

    return RunInfo(
        mode=options.mode,
        device=placement.name,
        precision=options.precision or saved_precision(workload.model),
        xla=workload.xla,
        eager=options.eager,
        batch_size=workload.batch.size,
        steps=steps,
        trace_steps=trace_steps,
        seed=options.seed,
        threads=threads_used(),
        clock="wall time of untraced steps; cpu_ms: CPU time of the process",
        cpu=cpu_name(),
        command=command,
        data=workload.batch.source,
        inputs=workload.batch.inputs,
        step_source=workload.step.source,
        loss=workload.loss,
        optimizer=workload.optimizer,
        started_at=started_at,
        tfopt=tfopt.__version__,
        python=platform.python_version(),
        tensorflow=tf.__version__,
        keras=keras.__version__,
    )
