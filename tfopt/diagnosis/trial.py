"""The trial run of TensorFlow in a worker process (`tfopt.workload.probe`): whatever happens to it is a finding."""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfopt.workload.probe import Message, Outcome, Task
from tfopt.workload.workers.process import PYTHON, Ended, Worker, worker

__all__ = ["Report", "report", "trying"]

SECONDS = 60.0  # for each stage: a cold disk takes half a minute to import TensorFlow
_COMMAND = (*PYTHON, "tfopt.workload.probe")


@dataclass(frozen=True)
class Report:
    """The outcomes of the stages that began."""

    stages: dict[str, Outcome]

    def found(self, stage: str) -> dict[str, Any] | None:
        """What a stage found; None where it failed or never began."""
        outcome = self.stages.get(stage)
        return outcome.found if outcome is not None and not outcome.error else None

    def error(self, stage: str) -> str:
        """Why there is nothing found: the stage's own error, or that of the first that failed before it."""
        outcome = self.stages.get(stage)
        if outcome is not None:
            return outcome.error
        return next(
            (f"not tried, because of {name}: {one.error}" for name, one in self.stages.items() if one.error), ""
        )


def trying(folder: Path) -> contextlib.AbstractContextManager[Worker[Message]]:
    """A worker that tries TensorFlow; whatever it writes goes to `folder`. It never outlives the block."""
    settings = {
        "TMPDIR": str(folder),
        "KERAS_BACKEND": "tensorflow",  # what a wrong backend does is said elsewhere: the rest must still be tried
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",  # the GPU's memory may be in use by others
        "TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "2"),
    }
    return worker(Task(str(folder)), _COMMAND, Message, settings)


def report(child: Worker[Message]) -> Report:
    """What it reports until it has ended or keeps silent for too long: then that is how its stage ended."""
    stages: dict[str, Outcome] = {}
    stage, over, ending = "import", False, f"no answer for {SECONDS:.0f} s"
    try:
        while message := child.receive(time.monotonic() + SECONDS):
            stage, over = message.stage, isinstance(message, Outcome)
            if isinstance(message, Outcome):
                stages[stage] = message
    except Ended as ended:
        ending = str(ended)
    if not over:
        stages[stage] = Outcome(stage, error=ending)
    return Report(stages)
