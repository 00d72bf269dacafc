"""The examples that a pruning sees: to score and to measure, to train on, and a few to compare outputs on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from tfopt.model.inputs import fixed_batch, input_specs
from tfopt.pathways.losses import chosen_loss
from tfopt.pruning.training_data import TrainingData, training_data, try_loss
from tfopt.pruning.wishes import Wishes
from tfopt.workload.batch import DEFAULT_BATCH, Batch
from tfopt.workload.batching import Targets
from tfopt.workload.data import ending_dataset_of
from tfopt.workload.options import Options
from tfopt.workload.samples import gathered

__all__ = ["Examples"]

_FEW = 4


@dataclass(frozen=True)
class Examples:
    """Of the sources that `wishes` name; reading raises UsageError and InputError."""

    model: Any
    wishes: Wishes
    options: Options

    @property
    def batch_size(self) -> int:
        """Of one pass."""
        return self.options.batch_size or DEFAULT_BATCH

    @property
    def evaluated(self) -> str:
        """Where the metric is measured."""
        return self.wishes.eval_data or self.wishes.data

    @property
    def tuned_on(self) -> bool:
        """Whether the metric is measured on what decided what the weights are."""
        wishes = self.wishes
        return self.evaluated == wishes.data and bool(
            wishes.finetune or wishes.recalibrate_bn or (wishes.removes and wishes.entry.needs_data)
        )

    def source(self, data: str) -> Options:
        """The options for one source: what is not drawn has its own shapes, and a function its own batches."""
        if data == "synthetic":
            return replace(self.options, data=data)
        return replace(
            self.options, data=data, batch_size=None if ":" in data else self.options.batch_size, input_shape=()
        )

    def check(self, *, trains: bool, compares: bool) -> None:
        """Read a little of what is needed only later: data that do not fit are told before anything is scored."""
        if trains:
            _ = self.training
        if compares:
            _ = self.few
        if compares and ":" in self.evaluated:
            ending_dataset_of(self.evaluated)
        if compares and self.evaluated != "synthetic":
            targets = Targets(self.model, None, required=self.wishes.eval_data is not None)
            batch = gathered(self.model, self.source(self.evaluated), self._fixed or 1, targets)
            if self.model.compiled and batch.y is not None:
                try_loss(self.model, batch.arguments, self.evaluated)

    @cached_property
    def scored(self) -> Batch | None:
        """What the criterion looks at; None where it needs nothing."""
        entry = self.wishes.entry
        return self._gathered(self.wishes.data, targets=entry.needs_targets) if entry.needs_data else None

    @property
    def samples(self) -> int:
        """How many the criterion looks at."""
        return 0 if self.scored is None else self.scored.size

    def measured(self) -> Batch:
        """What sensitivity is measured on."""
        return self._gathered(self.evaluated, targets=True)

    @cached_property
    def training(self) -> TrainingData:
        """All of the data, for a model that is compiled already."""
        return training_data(self.model, replace(self.source(self.wishes.data), loss=None))

    @cached_property
    def few(self) -> Any:
        """Inputs of as few examples as the model takes."""
        options = self.source(self.wishes.data)
        if ":" not in options.data:
            options = replace(options, batch_size=None if self._fixed else _FEW)
        return gathered(self.model, options, self._fixed or _FEW, None).x

    @cached_property
    def _fixed(self) -> int | None:
        return fixed_batch(input_specs(self.model, input_shape=self.options.input_shape))

    def _gathered(self, data: str, *, targets: bool) -> Batch:
        wanted = Targets(self.model, self._loss, required=True) if targets else None
        return gathered(self.model, self.source(data), self.wishes.samples, wanted)

    @cached_property
    def _loss(self) -> Any:
        return chosen_loss(self.model, self.options.loss).loss
