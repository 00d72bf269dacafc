"""One pruning under way: from the loaded model to the parts of its record."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import structs

from tfopt.model.layers import unique_path
from tfopt.model.load import LoadedModel
from tfopt.pruning.against import against
from tfopt.pruning.allocation.thresholds import suggestions
from tfopt.pruning.checkpoints import Checkpoint, fingerprint
from tfopt.pruning.collapse import THIN, collapse
from tfopt.pruning.examples import Examples
from tfopt.pruning.finetune import Finetuning, finetune
from tfopt.pruning.masks import mask_of_each, masked
from tfopt.pruning.metric import metric_of
from tfopt.pruning.prunable import Masks, Prunable
from tfopt.pruning.recalibrate import recalibrate
from tfopt.pruning.removing import Removing
from tfopt.pruning.selection import select
from tfopt.pruning.sensitivity import SPARSITIES, sensitivity
from tfopt.pruning.storage import checkpoint_file, saved, sizes, verify
from tfopt.pruning.wishes import Wishes
from tfopt.records.base import Note, finite
from tfopt.records.pruning import PrunedVariable, SensitivityPoint, Sizes
from tfopt.report.files import move_file
from tfopt.report.progress import ProgressCallback
from tfopt.scratch import temporary_folder
from tfopt.wording import counted, listed
from tfopt.workload.compilation import compile_model
from tfopt.workload.options import Options

__all__ = ["Running"]


@dataclass(kw_only=True)
class Running:
    """Called once; `notes` grow, `samples` and `interrupted` are known afterwards. `stack` holds what must last until
    the two files are compared."""

    loaded: LoadedModel
    wishes: Wishes
    options: Options
    target: Path | None
    compress: bool
    force: bool
    imports: tuple[str, ...]
    unsafe: bool
    threads: int | None
    latency_seconds: float | None
    notes: list[Note]
    progress: ProgressCallback
    stack: contextlib.ExitStack
    samples: int = 0
    interrupted: bool = False
    weights: tuple[Prunable, ...] = ()
    paths: tuple[str, ...] = ()  # of these, each its own
    checkpoint: Checkpoint | None = None

    def __call__(self) -> dict[str, Any]:
        """The parts of the record by their names in it. Raises TfoptError; nothing was written then."""
        self.progress("choosing weights, reading the data", None)
        self.weights, left_alone = select(self.model, self.wishes.include, self.wishes.exclude)
        taken: set[str] = set()
        self.paths = tuple(unique_path(each.path, taken) for each in self.weights)
        self._warn()
        self.checkpoint = self._checkpoint()
        recompiled = self._compile()
        if self.target is not None and (self.wishes.finetune or self.wishes.recalibrate_bn):
            _ = self.examples.training  # data that do not fit are told before anything is scored
        before = self._file_before(recompiled)
        parts: dict[str, Any] = {"left_alone": left_alone, "before": sizes(self.model, before)}
        zeros = [each.size - int(np.count_nonzero(each.values)) for each in self.weights]
        if self.wishes.threshold is not None:
            parts["suggestions"] = suggestions(self.weights, self.wishes.threshold_mode)
        removing = self._removing()
        if self.wishes.sensitivity:
            parts |= self._sensitivity(removing)
        masks = [np.ones(each.shape, bool) for each in self.weights]
        if self.wishes.removes:
            masks, found = self._pruned(removing, before, zeros)
            parts |= found
        rows = zip(self.weights, self.paths, masks, zeros, strict=True)
        parts["variables"] = tuple(_row(*row, removing.dense.get(at, "")) for at, row in enumerate(rows))
        return {"output": None, "after": None, **parts}

    @property
    def model(self) -> Any:
        """The model, of which this run changes the weights."""
        return self.loaded.model

    @cached_property
    def examples(self) -> Examples:
        """The data of this run."""
        return Examples(self.model, self.wishes, self.options)

    def _warn(self) -> None:
        wishes = self.wishes
        if wishes.entry.at_initialization and self.loaded.source.format != "application":
            self._note(
                f"{wishes.criterion} scores weights as they are before training: of trained ones it says little",
                "use --criterion fisher or magnitude",
            )
        if wishes.dry_run and wishes.stages > 1:
            self._note(f"a dry run does not train: shown is what one step would remove, not {wishes.stages}")

    def _note(self, message: str, hint: str = "") -> None:
        self.notes.append(Note(message=message, hint=hint))

    def _checkpoint(self) -> Checkpoint | None:
        """Where fine-tuning keeps what it has; it is of this model, and of whatever decides what becomes of it."""
        if self.target is None or not self.wishes.finetune:
            return None
        options = {**asdict(self.wishes), **asdict(self.options)}
        for indifferent in ("resume", "dry_run", "output", "sensitivity", "eval_data"):
            del options[indifferent]
        return Checkpoint(checkpoint_file(self.target), fingerprint(self.model, options), self.wishes.resume)

    def _compile(self) -> bool:
        """Give the model the loss that was asked for, or one to train with; whether that changed it."""
        trains = self.wishes.finetune or self.wishes.recalibrate_bn
        if self.options.loss is None and (self.model.compiled or not trains):
            return False
        self.notes += compile_model(self.model, replace(self.options, mode="train"))
        return True

    def _file_before(self, recompiled: bool) -> Path | None:
        """A file of the model as it came, which nothing replaces meanwhile; None where none is needed."""
        source = self.loaded.source
        file = Path(source.path) if source.format in ("keras", "hdf5") and os.path.isfile(source.path) else None
        if self.target is None:
            return file
        replaced = file is not None and self.target.exists() and self.target.samefile(file)
        if file is not None and not recompiled and not replaced:
            return file
        folder = self.stack.enter_context(temporary_folder())
        if file is not None and not recompiled:
            return Path(shutil.copyfile(file, folder / f"before{file.suffix}"))
        return self.stack.enter_context(saved(self.model, folder, compress=False))

    def _removing(self) -> Removing:
        batch = self.examples.scored()
        self.samples = 0 if batch is None else batch.size
        return Removing(
            self.model,
            self.weights,
            self.wishes,
            None if batch is None else batch.x,
            None if batch is None else batch.y,
            self.options.loss,
            self.examples.batch_size,
            self.options.seed,
            self.progress,
            self._note,
        )

    def _sensitivity(self, removing: Removing) -> dict[str, Any]:
        batch = self.examples.measured()
        name, metric = metric_of(self.model, batch.x, batch.y, self.options.loss, self.examples.batch_size)
        intact = SensitivityPoint(path="", sparsity=0.0, value=finite(metric()))
        scores = removing.scores(self.wishes.sparsity or 0.5)
        scope = "output" if self.wishes.rivals == "output" else "layer"
        points = sensitivity(self.weights, scores, metric, scope=scope, progress=self.progress)
        named = [
            structs.replace(point, path=path)
            for number, path in enumerate(self.paths)
            for point in (intact, *points[len(SPARSITIES) * number : len(SPARSITIES) * (number + 1)])
        ]
        measured = f"{name} on {counted(batch.size, 'sample')}"
        return {"sensitivity": tuple(named), "sensitivity_metric": measured}

    def _pruned(self, removing: Removing, before: Path | None, zeros: Sequence[int]) -> tuple[Masks, dict[str, Any]]:
        """The masks, and what became of the model; it is not written where it collapsed, or in a dry run."""
        steps = removing.steps
        at_once = self.target is None or len(steps) == 1
        masks: Masks = []
        found: dict[str, Any] = {}
        if at_once:
            masks = removing.masks(steps[-1])
            with masked(self.model, mask_of_each(self.weights, masks)):
                pass  # what they remove is zero from now on, in the optimizer too
            found = self._checked(masks, zeros)
            if self.target is None or self._stopped(found):
                return masks, found
        if self.checkpoint is not None:
            trained = self._trained(removing, masks, steps, self.checkpoint)
            masks, found["epochs"] = trained.masks, trained.epochs
            if not at_once:
                found |= self._checked(masks, zeros)
                if self._stopped(found):
                    self._note(f"what was trained is kept in {self.checkpoint.path}", "--resume --force writes it")
                    return masks, found
        if self.wishes.recalibrate_bn and not recalibrate(self.model, self.examples.training, self.progress):
            self._note("there is no BatchNormalization to recalibrate")
        assert self.target is not None
        assert before is not None
        found |= {"output": str(self.target), "after": self._written(self.target, masks)}
        if self.checkpoint is not None:
            self.checkpoint.remove()
        return masks, found | self._compared(before, self.target)

    def _trained(self, removing: Removing, masks: Masks, steps: Sequence[float], checkpoint: Checkpoint) -> Finetuning:
        """Fine-tune: with masks that are there, or by a schedule, whose steps come before the first epochs."""
        if masks:
            removed = sum(int(np.count_nonzero(~mask)) for mask in masks)
            shares = [removed / sum(mask.size for mask in masks)] * self.wishes.finetune
        else:
            shares = [*steps, *[steps[-1]] * (self.wishes.finetune - len(steps))]
        try:
            return finetune(
                self.model,
                self.weights,
                self.examples.training,
                shares,
                (lambda share: masks) if masks else removing.masks,
                lr=self.wishes.lr,
                checkpoint=checkpoint,
                progress=self.progress,
            )
        except KeyboardInterrupt as interrupt:
            if checkpoint.path.exists():
                interrupt.add_note("the same command with --resume goes on after the last whole epoch")
            raise

    def _stopped(self, found: dict[str, Any]) -> bool:
        return bool(found.get("collapsed")) and not self.force

    def _checked(self, masks: Masks, zeros: Sequence[int]) -> dict[str, Any]:
        """Whether the network still connects its outputs with its inputs. A layer that was empty before is not news."""
        self.progress("looking for paths that are left", None)
        left = collapse(self.model, self.weights, masks)
        had = {each.layer_path for each, zero in zip(self.weights, zeros, strict=True) if zero < each.size}
        empty = [path for path in left.empty if path in had]
        if left.thin:
            self._note(f"under {THIN:.0%} of the weights are left in {listed(left.thin)}".replace("%", " %"))
        self.notes += left.notes
        reasons = [f"no weight is left in {listed(empty)}"] * bool(empty)
        reasons += ["no path is left from the inputs to the outputs"] * left.no_path
        return {"collapsed": tuple(reasons), "path_total": left.path_total}

    def _written(self, target: Path, masks: Masks) -> Sizes:
        """Write the model, loaded again and compared with this one first."""
        self.progress("writing and verifying", None)
        with saved(self.model, Path(os.path.realpath(target)).parent, compress=self.compress) as file:
            verify(file, self.model, self.weights, masks, self.examples.few(), imports=self.imports, unsafe=self.unsafe)
            after = sizes(self.model, file)
            move_file(file, target, force=self.force)
        return after

    def _compared(self, before: Path, target: Path) -> dict[str, Any]:
        """The written model against the one it came from."""
        if self.examples.tuned_on:
            self._note(
                "the metric was measured on the data that the model was pruned with: on other data it may be worse",
                "bring others with --eval-data",
            )
        found = against(
            before,
            target,
            replace(self.examples.source(self.examples.evaluated), loss=None),
            latency_seconds=self.latency_seconds,
            threads=self.threads,
            imports=self.imports,
            unsafe=self.unsafe,
            progress=self.progress,
        )
        self.notes += found.notes
        self.interrupted = found.interrupted
        return {"drift": found.drift, "latency": found.latency, "timings": found.timings}


def _row(weight: Prunable, path: str, mask: np.ndarray, zeros_before: int, dense: str) -> PrunedVariable:
    return PrunedVariable(
        path=path,
        layer=weight.layer_path,
        type=type(weight.layer).__name__,
        shape=weight.shape,
        size=weight.size,
        zeros_before=zeros_before,
        removed=int(np.count_nonzero(~mask)),
        zeros=weight.size - int(np.count_nonzero(weight.values)),
        dense=dense,
    )
