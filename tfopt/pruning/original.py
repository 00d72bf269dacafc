"""The model before anything is removed from it: with a loss to train with, and as a file to compare with."""

from __future__ import annotations

import contextlib
import os
import shutil
from dataclasses import replace
from pathlib import Path

from tfopt.pruning.job import Job
from tfopt.pruning.storage import saved
from tfopt.scratch import temporary_folder
from tfopt.workload.compilation import compile_model

__all__ = ["original"]


def original(job: Job, stack: contextlib.ExitStack) -> Path | None:
    """Compile the model where it must be, and give a file of it as it then is, which nothing replaces while `stack` is
    open; None where there is none and none is needed."""
    recompiled = _compiled(job)
    source = job.loaded.source
    file = Path(source.path) if source.format in ("keras", "hdf5") and os.path.isfile(source.path) else None
    if job.target is None:
        return file
    if file is None or recompiled:
        return stack.enter_context(saved(job.model, stack.enter_context(temporary_folder()), compress=False))
    if job.target.exists() and job.target.samefile(file):
        return Path(shutil.copyfile(file, stack.enter_context(temporary_folder()) / f"before{file.suffix}"))
    return file


def _compiled(job: Job) -> bool:
    """Give the model the loss that was asked for, or one to train with; whether that changed it."""
    trains = job.wishes.finetune or job.wishes.recalibrate_bn
    if job.options.loss is None and (job.model.compiled or not trains):
        return False
    job.notes.extend(compile_model(job.model, replace(job.options, mode="train")))
    return True
