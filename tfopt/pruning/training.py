"""What is left after removing is trained on, so that a run that was interrupted goes on where it was."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from tfopt.pruning.checkpoints import Checkpoint, fingerprint
from tfopt.pruning.finetune import Finetuning, finetune
from tfopt.pruning.job import Job
from tfopt.pruning.prunable import Masks
from tfopt.pruning.removing import Removing
from tfopt.pruning.storage import checkpoint_file

__all__ = ["checkpoint_of", "trained"]

_INDIFFERENT = ("resume", "dry_run", "output", "sensitivity", "eval_data")  # to what becomes of the weights


def checkpoint_of(job: Job) -> Checkpoint | None:
    """Where fine-tuning keeps what it has; it is of the model as it is now, and of whatever decides what becomes of it.
    None where nothing is trained."""
    if job.target is None or not job.wishes.finetune:
        return None
    options = {**asdict(job.wishes), **asdict(job.options)}
    deciding = {name: value for name, value in options.items() if name not in _INDIFFERENT}
    deciding["arrays"] = _arrays(job.wishes.data)
    return Checkpoint(checkpoint_file(job.target), fingerprint(job.model, deciding), job.wishes.resume)


def _arrays(data: str) -> list[tuple[str, int]]:
    """What is in a file, by the checksums that it has of its members; a function's data set nobody can tell."""
    if not data.endswith(".npz"):
        return []
    with zipfile.ZipFile(data) as archive:
        return [(member.filename, member.CRC) for member in archive.infolist()]


def trained(job: Job, removing: Removing, masks: Masks, checkpoint: Checkpoint) -> Finetuning:
    """Fine-tune: with masks that are there, or by a schedule, whose steps come before the first epochs."""
    try:
        return finetune(
            job.model,
            removing.weights,
            job.examples.training,
            _shares(masks, removing.steps, job.wishes.finetune),
            (lambda share: masks) if masks else removing.masks,
            lr=job.wishes.lr,
            checkpoint=checkpoint,
            progress=job.progress,
        )
    except KeyboardInterrupt as interrupt:
        if checkpoint.path.exists():
            interrupt.add_note("the same command with --resume goes on after the last whole epoch")
        raise


def _shares(masks: Masks, steps: Sequence[float], epochs: int) -> list[float]:
    """What is removed in each epoch."""
    if masks:
        removed = sum(int(np.count_nonzero(~mask)) for mask in masks)
        return [removed / sum(mask.size for mask in masks)] * epochs
    return [*steps, *[steps[-1]] * (epochs - len(steps))]
