"""What one pruning is about, once the model is loaded: what each of its stages is given."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tfopt.model.load import LoadedModel
from tfopt.pruning.examples import Examples
from tfopt.pruning.wishes import Wishes
from tfopt.records.base import Note
from tfopt.report.progress import ProgressCallback
from tfopt.workload.options import Options

__all__ = ["Job", "Parts"]

Parts = dict[str, Any]  # of the record, by their names in it


@dataclass(frozen=True, kw_only=True)
class Job:
    """`target` is the file to write, None for none; `latency_seconds` None leaves the time out. `notes` grow."""

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

    @property
    def model(self) -> Any:
        """The model, whose weights the stages change."""
        return self.loaded.model

    @cached_property
    def examples(self) -> Examples:
        """The data."""
        return Examples(self.model, self.wishes, self.options)

    @property
    def trains(self) -> bool:
        """Whether the model sees data in training, once weights are removed."""
        return self.target is not None and bool(self.wishes.finetune or self.wishes.recalibrate_bn)

    def note(self, message: str, hint: str = "") -> None:
        """Remember what a person should know."""
        self.notes.append(Note(message=message, hint=hint))
