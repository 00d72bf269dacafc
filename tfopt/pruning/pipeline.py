"""`tfopt prune`: the weights that matter least are set to zero, and what that does is measured on the file written."""

from __future__ import annotations

import contextlib
import datetime
import os
import platform
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tfopt
from tfopt.errors import InputError
from tfopt.model.said import said_as_notes
from tfopt.model.source import identify
from tfopt.pruning.storage import check_checkpoint, check_output, checkpoint_file
from tfopt.pruning.wishes import Wishes
from tfopt.records.base import Note
from tfopt.records.pruning import PruningRecord, PruningRun
from tfopt.report.progress import ProgressCallback, silent
from tfopt.workload.options import Options, check_numbers
from tfopt.workload.runtime import import_tensorflow, set_threads, threads_used

__all__ = ["prune"]


def prune(
    model: Any,
    *,
    output: str | os.PathLike[str] | None = None,
    threshold: float | None = None,
    threshold_mode: str = "absolute",
    sparsity: float | None = None,
    nm: str | None = None,
    criterion: str = "magnitude",
    scope: str | None = None,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    schedule: str = "one-shot",
    steps: int | None = None,
    data: str = "synthetic",
    eval_data: str | None = None,
    samples: int = 256,
    finetune: int = 0,
    lr: float | None = None,
    recalibrate_bn: bool = False,
    sensitivity: bool = False,
    batch_size: int | None = None,
    input_shape: Sequence[str] = (),
    input_size: int | None = None,
    loss: str | None = None,
    imports: Sequence[str] = (),
    unsafe: bool = False,
    compress: bool = False,
    latency: bool = True,
    max_time: float = 60.0,
    dry_run: bool = False,
    resume: bool = False,
    force: bool = False,
    seed: int = 0,
    threads: int | None = None,
    command: str = "tfopt.prune",
    progress: ProgressCallback = silent,
) -> PruningRecord:
    """Remove weights of a saved model, or of a Keras model object, and write the pruned model as a file of its own.

    Exactly one of `threshold`, `sparsity` and `nm` says how much; `sensitivity` alone removes nothing. What is written
    was loaded again and compared first. A model that collapses (a layer without a weight, or no path from input to
    output) is not written: `collapsed` in the record says why.

    Args:
        model: a path (`.keras`, `.h5`), `app:NAME`, or a built Keras model, which is left as it was.
        output: the file to write, `.keras`; default `NAME-pruned.keras` in the working directory.
        threshold: keep weights with |w| above it.
        threshold_mode: in units of 1 (`absolute`), of each weight's standard deviation (`std`) or largest |w| (`max`),
            or as the share of each weight that is as small (`quantile`).
        sparsity: the fraction to remove, above 0 and below 1.
        nm: `"2:4"` keeps at most 2 of 4 consecutive input channels.
        criterion: a name in `tfopt.pruning.criteria.CRITERIA`.
        scope: where weights compete: `global`, `layer`, `erk` or `output`; default what the criterion is made for.
        include: patterns of paths of weights (`"dense_*/kernel"`) in place of the default choice.
        exclude: patterns of what to leave alone.
        schedule: `one-shot`, or `linear` or `cubic` in `steps`, one before each of the first epochs of fine-tuning.
        steps: of the schedule; default half of the epochs.
        data: `synthetic`, `FILE.npz` or `package.module:function`, for the criterion and for fine-tuning.
        eval_data: what the metric is measured on; default `data`.
        samples: most examples that the criterion and `sensitivity` look at.
        finetune: epochs of training with what was removed held at zero.
        lr: learning rate in place of the optimizer's own.
        recalibrate_bn: compute the moving statistics of BatchNormalization anew from `data`.
        sensitivity: the metric with each weight pruned by itself.
        batch_size: default 32, or what the data has.
        input_shape, input_size, loss, imports, unsafe, seed, threads: as for `tfopt.profile`.
        compress: write the file deflated.
        latency: measure the time of inference, for at most `max_time` seconds.
        dry_run: write nothing and train nothing.
        resume: go on from the checkpoint that an interrupted run left beside `output`.
        force: replace files that exist, also the input; write a model that collapsed.
        command: the command line, for the record.
        progress: called with a stage and the fraction done (None while unknown).

    Returns:
        The record. Ctrl-C while the two models are compared ends that: the record then says so, and the file is there.

    Raises:
        UsageError, InputError, RunFailed: with a hint that mends it; nothing was written then.
        KeyboardInterrupt: before anything was written; a checkpoint of fine-tuning stays.
    """
    began = time.monotonic()
    started_at = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    check_numbers(batch_size=batch_size, input_size=input_size, threads=threads)
    wishes = Wishes(
        threshold=threshold,
        threshold_mode=threshold_mode,
        sparsity=sparsity,
        nm=nm,
        criterion=criterion,
        scope=scope,
        include=tuple(include),
        exclude=tuple(exclude),
        schedule=schedule,
        steps=steps,
        data=data,
        eval_data=eval_data,
        samples=samples,
        finetune=finetune,
        lr=lr,
        recalibrate_bn=recalibrate_bn,
        sensitivity=sensitivity,
        resume=resume,
        dry_run=dry_run,
        output=None if output is None else os.fspath(output),
    )
    target = _target(model, wishes, force)
    options = Options("infer", batch_size, tuple(input_shape), data, loss, seed=seed)
    with contextlib.ExitStack() as stack:
        progress("loading TensorFlow", None)
        import_tensorflow()
        set_threads(threads)

        import keras
        import tensorflow as tf

        from tfopt.profiling.subject import loaded_or_given, model_info
        from tfopt.pruning.job import Job
        from tfopt.pruning.running import run
        from tfopt.workload.device import place
        from tfopt.workload.scope_names import usable_scopes

        placement = place("cpu")
        stack.enter_context(placement.scope())
        progress("loading the model", None)
        loaded = loaded_or_given(model, imports, unsafe, input_size, seed, stack)
        notes: list[Note] = [*loaded.notes]
        with said_as_notes(notes), usable_scopes():
            job = Job(
                loaded=loaded,
                wishes=wishes,
                options=options,
                target=target,
                compress=compress,
                force=force,
                imports=tuple(imports),
                unsafe=unsafe,
                threads=threads,
                latency_seconds=max_time if latency else None,
                notes=notes,
                progress=progress,
            )
            info = model_info(loaded, loaded.model)
            parts = run(job, stack)
        return PruningRecord(
            model=info,
            run=PruningRun(
                threshold=threshold,
                threshold_mode=None if threshold is None else threshold_mode,
                sparsity=sparsity,
                nm=nm,
                criterion=criterion,
                scope=wishes.compared_in,
                schedule=schedule,
                steps=wishes.stages,
                finetune=finetune,
                lr=lr,
                recalibrate_bn=recalibrate_bn,
                include=wishes.include,
                exclude=wishes.exclude,
                data=data,
                eval_data=eval_data,
                loss=loss,
                batch_size=job.examples.batch_size,
                samples=job.examples.samples,
                dry_run=dry_run,
                force=force,
                compress=compress,
                interrupted=parts.pop("interrupted", False),
                device=placement.name,
                threads=threads_used(),
                seed=seed,
                command=command,
                started_at=started_at,
                seconds=time.monotonic() - began,
                tfopt=tfopt.__version__,
                python=platform.python_version(),
                tensorflow=tf.__version__,
                keras=keras.__version__,
            ),
            notes=tuple(dict.fromkeys(notes)),
            **parts,
        )


def _target(model: Any, wishes: Wishes, force: bool) -> Path | None:
    """Where the pruned model goes, None for nowhere; what is wrong with either file is said before TensorFlow loads."""
    name, file = str(getattr(model, "name", "model")), None
    if isinstance(model, str | os.PathLike):
        source = identify(os.fspath(model))
        name, file = source.name, None if source.format == "application" else source.path
        if source.format == "savedmodel":
            raise InputError(
                f"{source.path} is a SavedModel: its weights belong to no layers that could be pruned",
                "give the .keras file it came from, or save the model with model.save('model.keras')",
            )
    if not wishes.writes:
        return None
    output = Path(wishes.output or f"{name}-pruned.keras")
    check_output(output, file, force=force)
    if wishes.finetune:
        check_checkpoint(checkpoint_file(output), resume=wishes.resume)
    return output
