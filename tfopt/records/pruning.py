"""The record of a pruning: what was removed from which weights, and what that did to size, result and speed.

Shares are fractions of 1, sizes in bytes. Within schema version 1 fields may be added, never changed.
"""

from __future__ import annotations

from typing import Literal

from tfopt.records.base import Note, Record
from tfopt.records.comparison import Drift
from tfopt.records.duel import ArmTiming, DuelResult
from tfopt.records.profile import ModelInfo

__all__ = [
    "PRUNING_SCHEMA",
    "Epoch",
    "LeftAlone",
    "PrunedVariable",
    "PruningRecord",
    "PruningRun",
    "SensitivityPoint",
    "Sizes",
    "Suggestion",
]

PRUNING_SCHEMA: Literal["tfopt.pruning/1"] = "tfopt.pruning/1"


class PruningRun(Record, frozen=True, kw_only=True):
    """What was asked for. Exactly one of `threshold` (keep where |w| is above it, in units of `threshold_mode`),
    `sparsity` (the fraction to remove) and `nm` ("2:4": at most 2 of 4 consecutive input channels) is not null, unless
    only sensitivity was asked for. `samples` is how many the criterion saw, 0 for one without data. `compress`: the
    file was written deflated; `interrupted`: Ctrl-C ended the comparison of the two models, after the pruned one was
    written."""

    threshold: float | None
    threshold_mode: str | None
    sparsity: float | None
    nm: str | None
    criterion: str
    scope: str | None
    schedule: str
    steps: int
    finetune: int
    lr: float | None
    recalibrate_bn: bool
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    data: str
    eval_data: str | None = None
    loss: str | None
    batch_size: int
    samples: int
    dry_run: bool
    force: bool
    compress: bool = False
    interrupted: bool = False
    device: str
    threads: int
    seed: int
    command: str
    started_at: str
    seconds: float
    tfopt: str
    python: str
    tensorflow: str
    keras: str


class PrunedVariable(Record, frozen=True, kw_only=True):
    """One prunable weight of `size` numbers: exact zeros in it before, how many the mask removes, exact zeros after.
    `dense` says why it was left dense all the same (2:4 on an axis that 4 does not divide); else it is empty."""

    path: str
    layer: str
    type: str
    shape: tuple[int, ...]
    size: int
    zeros_before: int
    removed: int
    zeros: int
    dense: str = ""


class LeftAlone(Record, frozen=True, kw_only=True):
    """Weights that nothing is removed from, added up by the reason: `variables` of them with `size` numbers."""

    reason: str
    variables: int
    size: int
    zeros: int


class Suggestion(Record, frozen=True, kw_only=True):
    """The threshold, in the unit of the run, that would remove this share of the prunable weights."""

    sparsity: float
    threshold: float


class Sizes(Record, frozen=True, kw_only=True):
    """A model's parameters and those that are not zero, the bytes of its file, and of the same file deflated."""

    params: int
    nonzero: int
    file_bytes: int | None
    deflated_bytes: int | None


class Epoch(Record, frozen=True, kw_only=True):
    """One epoch of fine-tuning: the share removed while it ran, the mean loss, and metrics by name."""

    number: int
    sparsity: float
    loss: float | None
    metrics: dict[str, float | None]


class SensitivityPoint(Record, frozen=True, kw_only=True):
    """The metric with this share of one weight removed and everything else as it was."""

    path: str
    sparsity: float
    value: float | None


class PruningRecord(Record, frozen=True, kw_only=True):
    """One pruning. `model` and `before` are the input, `output` and `after` what was written (null where nothing was).

    `path_total` is the sum of all path weights after pruning as its logarithm to the base 10; null where it is 0 or was
    not computed: `collapsed` names layers without a weight left, or says that no path is left. `drift` has the
    difference of outputs and, with data, of the metric with its paired interval; `latency` the duel of inference,
    output against input, with `timings` of both. `sensitivity` is of `sensitivity_metric`.
    """

    schema: Literal["tfopt.pruning/1"] = PRUNING_SCHEMA
    model: ModelInfo
    run: PruningRun
    output: str | None
    before: Sizes
    after: Sizes | None
    variables: tuple[PrunedVariable, ...]
    left_alone: tuple[LeftAlone, ...]
    collapsed: tuple[str, ...] = ()
    path_total: float | None = None
    suggestions: tuple[Suggestion, ...] = ()
    epochs: tuple[Epoch, ...] = ()
    drift: Drift | None = None
    latency: DuelResult | None = None
    timings: tuple[ArmTiming, ...] = ()
    sensitivity: tuple[SensitivityPoint, ...] = ()
    sensitivity_metric: str = ""
    notes: tuple[Note, ...] = ()
