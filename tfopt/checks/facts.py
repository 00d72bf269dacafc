"""The facts of several models, found in worker processes: one for all of them until one crashes it."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from tfopt.errors import InputError, TfoptError, UsageError
from tfopt.profiling.census.messages import Asked, CensusMessage, CensusTask, Counted
from tfopt.records.facts import ModelFacts
from tfopt.report.progress import ProgressCallback, silent
from tfopt.workload.workers.contestant import Contestant
from tfopt.workload.workers.messages import Doing, Refused
from tfopt.workload.workers.process import PYTHON, Ended, Worker, worker

__all__ = ["Failure", "facts_of"]

_COMMAND = (*PYTHON, "tfopt.profiling.census.worker")
_HINT = "try it alone: tfopt inspect shows whether it loads"
_HINT_TIME = "allow it more time, or " + _HINT


@dataclass(frozen=True)
class Failure:
    """Why there are no facts of a model: what `ModelCheck` says of it, in words."""

    ending: Literal["unreadable", "crashed", "hung"]
    message: str
    hint: str

    @property
    def exit_code(self) -> int:
        """What it ends the command with: 3 for what cannot be read, 4 for a run that failed."""
        return 3 if self.ending == "unreadable" else 4

    @classmethod
    def of(cls, error: TfoptError) -> Failure:
        """What a model's own error means."""
        return cls("unreadable" if isinstance(error, InputError) else "crashed", error.message, error.hint)


def facts_of(
    subjects: Sequence[Contestant],
    names: Mapping[str, Collection[str]],
    seconds: float,
    progress: ProgressCallback = silent,
) -> dict[str, ModelFacts | Failure]:
    """The facts of each model, or why there are none, by label and in their order.

    Args:
        subjects: the models, each under a label of its own, and how their steps run.
        names: the facts to find, by label (`tfopt.records.fact_kinds.facts_for`).
        seconds: what takes longer, for one model, has hung and is ended.
        progress: called with what is being done, for which model.

    Raises:
        UsageError: the options fit no model, such as a module that cannot be imported.
    """
    found: dict[str, ModelFacts | Failure] = {}
    while left := [subject for subject in subjects if subject.label not in found]:
        task = CensusTask(tuple(Asked(subject, tuple(names[subject.label])) for subject in left))
        with worker(task, _COMMAND, CensusMessage) as child:
            at, failure = _listen(child, {subject.label for subject in left}, found, seconds, progress)
        if failure is not None:  # before any model was begun it is the fault of none: the next process would fail, too
            found.update(dict.fromkeys([at] if at else [subject.label for subject in left], failure))
    return {subject.label: found[subject.label] for subject in subjects}


def _listen(
    child: Worker[CensusMessage],
    left: set[str],
    found: dict[str, ModelFacts | Failure],
    seconds: float,
    progress: ProgressCallback,
) -> tuple[str, Failure | None]:
    """Take in what one worker says until nothing is left: the model that it was at, and why it did not finish."""
    at, phase, deadline = "", "starting", time.monotonic() + seconds
    try:
        while left - found.keys():
            match child.receive(deadline):
                case None:
                    return at, Failure("hung", f"{phase}: no end after {seconds:g} s", _HINT_TIME)
                case Doing(label=label, phase=phase):
                    if label != at:
                        at, deadline = label, time.monotonic() + seconds
                    progress(f"{label}: {phase}" if label else phase, None)
                case Counted(label=label, facts=facts):
                    found[label] = facts
                case Refused(label=label) as refused:
                    error = refused.error()
                    if isinstance(error, UsageError):
                        raise error
                    if not label:
                        return "", Failure.of(error)
                    found[label] = Failure.of(error)
    except Ended as ended:
        return at, Failure("crashed", f"{phase}: {ended}", _HINT)
    return at, None
