"""One pruning under way: from the loaded model to the parts of its record."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import numpy as np

from tfopt.model.layers import unique_path
from tfopt.pruning.allocation.thresholds import suggestions
from tfopt.pruning.alone import each_alone
from tfopt.pruning.checkpoints import Checkpoint
from tfopt.pruning.collapse import THIN, collapse
from tfopt.pruning.job import Job, Parts
from tfopt.pruning.masks import remove
from tfopt.pruning.original import original
from tfopt.pruning.prunable import Masks, Prunable
from tfopt.pruning.removing import Removing
from tfopt.pruning.selection import select
from tfopt.pruning.storage import sizes
from tfopt.pruning.training import checkpoint_of, trained
from tfopt.pruning.writing import delivered
from tfopt.records.pruning import PrunedVariable
from tfopt.wording import listed

__all__ = ["run"]


def run(job: Job, stack: contextlib.ExitStack) -> Parts:
    """Remove, train, write and compare, as far as the job asks for it; `interrupted` among the parts is of the run.
    `stack` holds what must last until the two files are compared. Raises TfoptError; nothing was written then."""
    job.progress("choosing weights, reading the data", None)
    weights, left_alone = select(job.model, job.wishes.include, job.wishes.exclude)
    alive = [each.values != 0 for each in weights]
    paths = _own_paths(weights)
    _warn(job)
    before = original(job, stack)
    job.examples.check(trains=job.trains, compares=job.target is not None)
    checkpoint = checkpoint_of(job)
    removing = Removing(job, weights)
    parts: Parts = {"left_alone": left_alone, "output": None, "before": sizes(job.model, before), "after": None}
    if job.wishes.threshold is not None:
        parts["suggestions"] = suggestions(weights, job.wishes.threshold_mode)
    if job.wishes.sensitivity:
        parts |= each_alone(job, removing, paths)
    masks = [np.ones(each.shape, bool) for each in weights]
    if job.wishes.removes:
        masks, found = _pruned(job, removing, alive, checkpoint)
        parts |= found
        if job.target is not None and not _stopped(job, found):
            assert before is not None  # where there is something to write there is a file to compare it with
            parts |= delivered(job, job.target, weights, masks, before, checkpoint)
    rows = zip(weights, paths, masks, alive, strict=True)
    parts["variables"] = tuple(_row(*row, removing.dense.get(at, "")) for at, row in enumerate(rows))
    return parts


def _own_paths(weights: Sequence[Prunable]) -> tuple[str, ...]:
    """Of these, each its own: Keras may call two variables the same."""
    taken: set[str] = set()
    return tuple(unique_path(each.path, taken) for each in weights)


def _warn(job: Job) -> None:
    wishes = job.wishes
    if wishes.entry.at_initialization and job.loaded.source.format != "application":
        job.note(
            f"{wishes.criterion} scores weights as they are before training: of trained ones it says little",
            "use --criterion fisher or magnitude",
        )
    if wishes.dry_run and wishes.stages > 1:
        job.note(f"a dry run does not train: shown is what one step would remove, not {wishes.stages}")


def _pruned(job: Job, removing: Removing, alive: Masks, checkpoint: Checkpoint | None) -> tuple[Masks, Parts]:
    """Remove at once, or by a schedule while training, and look what is left; what has collapsed is not trained on."""
    weights, at_once = removing.weights, job.target is None or job.wishes.stages == 1
    masks: Masks = []
    found: Parts = {}
    if at_once:
        masks = removing.masks(removing.steps[-1])
        remove(job.model, weights, masks)
        found = _checked(job, weights, masks, alive)
    if checkpoint is not None and not _stopped(job, found):
        tuned = trained(job, removing, masks, checkpoint)
        masks, found["epochs"] = tuned.masks, tuned.epochs
        if not at_once:
            found |= _checked(job, weights, masks, alive)
            if _stopped(job, found):
                job.note(f"what was trained is kept in {checkpoint.path}", "--resume --force writes it")
    return masks, found


def _stopped(job: Job, found: Parts) -> bool:
    return bool(found.get("collapsed")) and not job.force


def _checked(job: Job, weights: Sequence[Prunable], masks: Masks, alive: Masks) -> Parts:
    """Whether the network still connects its outputs with its inputs."""
    job.progress("looking for paths that are left", None)
    left = collapse(job.model, weights, masks, alive)
    if left.thin:
        job.note(f"under {THIN:.0%} of the weights are left in {listed(left.thin)}".replace("%", " %"))
    job.notes.extend(left.notes)
    reasons = [f"no weight is left in {listed(left.empty)}"] * bool(left.empty)
    reasons += ["no path is left from the inputs to the outputs"] * left.no_path
    return {"collapsed": tuple(reasons), "path_total": left.path_total}


def _row(weight: Prunable, path: str, mask: np.ndarray, alive: np.ndarray, dense: str) -> PrunedVariable:
    return PrunedVariable(
        path=path,
        layer=weight.layer_path,
        type=type(weight.layer).__name__,
        shape=weight.shape,
        size=weight.size,
        zeros_before=int(np.count_nonzero(~alive)),
        removed=int(np.count_nonzero(~mask)),
        zeros=weight.size - int(np.count_nonzero(weight.values)),
        dense=dense,
    )
