"""What a person asked to be pruned, checked before anything is loaded."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tfopt.errors import UsageError
from tfopt.pruning.allocation.patterns import parse_n_of_m
from tfopt.pruning.criteria import CRITERIA, Criterion
from tfopt.pruning.names import SCHEDULE_NAMES, SCOPE_NAMES, THRESHOLD_MODES
from tfopt.wording import counted, listed
from tfopt.workload.options import check_numbers

__all__ = ["Wishes"]

_ONE_SHOT = SCHEDULE_NAMES[0]


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """The keywords of `tfopt.prune` that say what is removed and how; raises UsageError where they do not go together.

    `sensitivity` alone removes nothing.
    """

    threshold: float | None
    threshold_mode: str
    sparsity: float | None
    nm: str | None
    criterion: str
    scope: str | None
    include: tuple[str, ...]
    exclude: tuple[str, ...]
    schedule: str
    steps: int | None
    finetune: int
    lr: float | None
    recalibrate_bn: bool
    sensitivity: bool
    data: str
    eval_data: str | None
    samples: int
    resume: bool
    dry_run: bool
    output: str | None

    def __post_init__(self) -> None:
        check_numbers(samples=self.samples, steps=self.steps)
        for what, word, known in (
            ("criterion", self.criterion, tuple(CRITERIA)),
            ("scope", self.scope, SCOPE_NAMES),
            ("schedule", self.schedule, SCHEDULE_NAMES),
            ("threshold mode", self.threshold_mode, THRESHOLD_MODES),
        ):
            if word is not None and word not in known:
                raise UsageError(f"unknown {what} {word!r}", f"use one of {', '.join(known)}")
        for message, hint in (*self._amounts(), *self._scoring(), *self._training()):
            raise UsageError(message, hint)

    @property
    def removes(self) -> bool:
        """Whether anything is to be removed."""
        return any(amount is not None for amount in (self.threshold, self.sparsity, self.nm))

    @property
    def writes(self) -> bool:
        """Whether a model is to be written."""
        return self.removes and not self.dry_run

    @property
    def entry(self) -> Criterion:
        """The criterion in its registry."""
        return CRITERIA[self.criterion]

    @property
    def rivals(self) -> str:
        """The scope in which scores are compared."""
        return self.scope or self.entry.scopes[0]

    @property
    def compared_in(self) -> str | None:
        """The scope of a sparsity; None where nothing competes: a threshold asks no others, and N:M asks its group."""
        return self.rivals if self.sparsity is not None else None

    @property
    def stages(self) -> int:
        """Steps of the schedule."""
        return 1 if self.schedule == _ONE_SHOT else self.steps or max(1, self.finetune // 2)

    def _amounts(self) -> Iterator[tuple[str, str]]:
        given = [
            f"--{name}"
            for name, amount in (("threshold", self.threshold), ("sparsity", self.sparsity), ("nm", self.nm))
            if amount is not None
        ]
        if len(given) > 1:
            yield f"{' and '.join(given)} exclude each other", "give one of them"
        if not given and not self.sensitivity:
            yield (
                "nothing says how much to remove",
                "give --threshold T, --sparsity S or --nm N:M; --sensitivity alone shows what each weight bears",
            )
        if self.threshold is not None:
            yield from self._threshold(self.threshold)
        elif self.threshold_mode != THRESHOLD_MODES[0]:
            yield "--threshold-mode has no effect without --threshold", "give --threshold T, or leave the mode out"
        if self.sparsity is not None and not 0 < self.sparsity < 1:
            percent = 1 < self.sparsity < 100
            hint = f"did you mean {self.sparsity / 100:g}?" if percent else "0.8 removes 80 %"
            yield f"the sparsity must be above 0 and below 1, not {self.sparsity:g}", hint
        if self.nm is not None:
            parse_n_of_m(self.nm)

    def _threshold(self, threshold: float) -> Iterator[tuple[str, str]]:
        most = 1.0 if self.threshold_mode == "quantile" else math.inf
        if not 0 <= threshold < most:
            allowed = "from 0 to below 1" if most == 1 else "from 0 on"
            message = f"--threshold {threshold:g} makes no sense with --threshold-mode {self.threshold_mode}"
            yield message, f"give a number {allowed}"
        if self.criterion != "magnitude":
            yield (
                f"--threshold is compared with |w|, not with the scores of --criterion {self.criterion}",
                f"use --sparsity with --criterion {self.criterion}",
            )

    def _scoring(self) -> Iterator[tuple[str, str]]:
        if self.scope is not None and self.sparsity is None:
            yield "--scope has no effect without --sparsity", "leave it out"
        if self.scope is not None and self.scope not in self.entry.scopes:
            allowed = " or ".join(self.entry.scopes)
            yield f"--criterion {self.criterion} cannot be compared with --scope {self.scope}", f"use --scope {allowed}"
        if self.entry.needs_data and self.data == "synthetic":
            yield f"--criterion {self.criterion} needs data", "bring yours with --data, or use --criterion magnitude"
        if self.sensitivity and (self.eval_data or self.data) == "synthetic":
            yield "--sensitivity needs data with targets", "bring yours with --data or --eval-data"

    def _training(self) -> Iterator[tuple[str, str]]:
        if self.finetune < 0:
            yield f"{self.finetune} epochs cannot be trained", "give 0 or more"
        if not self.removes:
            asked: tuple[tuple[str, Any], ...] = (
                ("--finetune", self.finetune),
                ("--recalibrate-bn", self.recalibrate_bn),
                (f"-o {self.output}", self.output),
            )
            if idle := [option for option, given in asked if given]:
                yield f"{listed(idle)} has no effect where nothing is removed", "give --sparsity, or leave it out"
        for option, given in (("--finetune", self.finetune), ("--recalibrate-bn", self.recalibrate_bn)):
            if given and self.data == "synthetic":
                yield f"{option} needs data", "bring yours with --data"
        if not self.finetune:
            waiting: tuple[tuple[str, Any], ...] = (
                ("--lr", self.lr is not None),
                ("--resume", self.resume),
                (f"--schedule {self.schedule}", self.schedule != _ONE_SHOT),
            )
            idle = [option for option, given in waiting if given]
            if idle:
                yield f"{listed(idle)} has no effect without --finetune", "add --finetune EPOCHS, or leave it out"
        if self.lr is not None and not 0 < self.lr < math.inf:
            yield f"a learning rate of {self.lr:g} trains nothing", "give a number above 0"
        if self.schedule == _ONE_SHOT:
            if self.steps is not None:
                yield "--steps has no effect on --schedule one-shot", "use --schedule cubic, or leave it out"
            return
        if self.sparsity is None:
            yield f"--schedule {self.schedule} grows a sparsity", "use it with --sparsity"
        if self.stages >= self.finetune:
            yield (
                f"{counted(self.stages, 'step')} of the schedule, {counted(self.finetune, 'epoch')}: none is left",
                f"the network recovers after the last step: --finetune {self.stages + 1} or fewer --steps",
            )
