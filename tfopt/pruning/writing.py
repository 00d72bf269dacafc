"""The pruned model's file, and how it differs from the one that it came from."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tfopt.pruning.against import Against, against
from tfopt.pruning.checkpoints import Checkpoint
from tfopt.pruning.job import Job, Parts
from tfopt.pruning.prunable import Masks, Prunable
from tfopt.pruning.recalibrate import recalibrate
from tfopt.pruning.storage import saved, sizes, verify
from tfopt.records.pruning import Sizes
from tfopt.report.files import move_file

__all__ = ["delivered"]


def delivered(
    job: Job, target: Path, weights: Sequence[Prunable], masks: Masks, before: Path, checkpoint: Checkpoint | None
) -> Parts:
    """Write the model to `target`, and compare it with the file `before`; the checkpoint is gone then. `interrupted`
    among the parts says that Ctrl-C ended the comparison. Raises TfoptError; nothing was written then."""
    if job.wishes.recalibrate_bn and not recalibrate(job.model, job.examples.training, job.progress):
        job.note("there is no BatchNormalization to recalibrate")
    after = _written(job, target, weights, masks)
    if checkpoint is not None:
        checkpoint.remove()
    found = _compared(job, before, target)
    differences = {name: getattr(found, name) for name in ("drift", "latency", "timings", "interrupted")}
    return {"output": str(target), "after": after, **differences}


def _written(job: Job, target: Path, weights: Sequence[Prunable], masks: Masks) -> Sizes:
    """Write the model to `target`, loaded again and compared with this one first."""
    job.progress("writing and verifying", None)
    with saved(job.model, Path(os.path.realpath(target)).parent, compress=job.compress) as file:
        verify(file, job.model, weights, masks, job.examples.few, imports=job.imports, unsafe=job.unsafe)
        after = sizes(job.model, file)
        move_file(file, target, force=job.force)
    return after


def _compared(job: Job, before: Path, target: Path) -> Against:
    """The written model against the one it came from; what there is to know becomes a note."""
    found = against(
        before,
        target,
        replace(job.examples.source(job.examples.evaluated), loss=None),
        latency_seconds=job.latency_seconds,
        threads=job.threads,
        imports=job.imports,
        unsafe=job.unsafe,
        progress=job.progress,
    )
    job.notes.extend(found.notes)
    if job.examples.tuned_on and found.drift is not None and found.drift.metrics:
        job.note(
            "the metric was measured on the data that the model was pruned with: on other data it may be worse",
            "bring others with --eval-data",
        )
    return found
