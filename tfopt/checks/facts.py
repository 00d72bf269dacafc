"""The facts of several models, found in worker processes: one for all of them until one crashes it."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence

from tfopt.checks.closer import closer
from tfopt.checks.failure import Failure
from tfopt.errors import UsageError
from tfopt.profiling.census.messages import Asked, CensusMessage, CensusTask, Counted
from tfopt.records.facts import ModelFacts
from tfopt.report.progress import ProgressCallback, silent
from tfopt.workload.workers.contestant import Contestant
from tfopt.workload.workers.messages import Doing, Refused
from tfopt.workload.workers.process import PYTHON, Ended, Worker, worker

__all__ = ["facts_of"]

_COMMAND = (*PYTHON, "tfopt.profiling.census.worker")
# The part of the time that is left which the first of several models may take; hung ones leave enough for the rest.
_OF_REST = 1 / 4


def facts_of(
    subjects: Sequence[Contestant],
    names: Mapping[str, Collection[str]],
    seconds: float,
    progress: ProgressCallback = silent,
    found: dict[str, ModelFacts | Failure] | None = None,
) -> dict[str, ModelFacts | Failure]:
    """The facts of each model, or why there are none, by label and in their order.

    Args:
        subjects: the models, each under a label of its own, and how their steps run.
        names: the facts to find, by label (`tfopt.records.fact_kinds.facts_for`).
        seconds: all of it takes no longer. A model that takes an even share of what is left, or a quarter of it where
            that is more, is ended: it has hung, or is still at work.
        progress: called with what is being done, for which model.
        found: what is given back, filled as it comes: Ctrl-C leaves it there.

    Raises:
        UsageError: the options fit no model, such as a module that cannot be imported.
    """
    found = {} if found is None else found
    ends = time.monotonic() + seconds
    while left := [subject for subject in subjects if subject.label not in found]:
        task = CensusTask(tuple(Asked(subject, tuple(names[subject.label])) for subject in left))
        with worker(task, _COMMAND, CensusMessage) as child:
            at, failure = _listen(child, {subject.label: subject for subject in left}, found, ends, progress)
        if failure is not None:  # before any model was begun it is the fault of none: the next process would fail, too
            found.update(dict.fromkeys([at] if at else [subject.label for subject in left], failure))
    return {subject.label: found[subject.label] for subject in subjects}


def _listen(
    child: Worker[CensusMessage],
    left: Mapping[str, Contestant],
    found: dict[str, ModelFacts | Failure],
    ends: float,
    progress: ProgressCallback,
) -> tuple[str, Failure | None]:
    """Take in what one worker says until nothing is left: the model that it was at, and why it did not finish."""
    at, phase, began, deadline = "", "starting", time.monotonic(), ends
    try:
        while open_ := left.keys() - found.keys():
            match child.receive(deadline):
                case None:
                    working = child.working or not at
                    return at, Failure.overdue(phase, time.monotonic() - began, _hint(left, at), working=working)
                case Doing(label=label, phase=phase):
                    if label != at:
                        at, began = label, time.monotonic()
                        deadline = began + max(1 / len(open_), _OF_REST) * (ends - began)
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
        return at, Failure("crashed", f"{phase}: {ended}", _hint(left, at))
    return at, None


def _hint(subjects: Mapping[str, Contestant], label: str) -> str:
    alone = closer(subjects[label], "inspect") if label else ""
    return f"see whether it loads alone: {alone}" if alone else "tfopt doctor shows whether TensorFlow works"
