"""The trial run of TensorFlow in a worker process (`tfopt.workload.probe`): whatever happens to it is a finding."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from tfopt.undo import undone

__all__ = ["Outcome", "Report", "Trial", "trying"]

SECONDS = 60.0  # for each stage: a cold disk takes half a minute to import TensorFlow
_START = """\
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from tfopt.workload.probe import probe
probe(sys.argv[2])
"""
_SIGNALS_OF_CRASHES = {signal.SIGILL: "an illegal instruction", signal.SIGSEGV: "a segmentation fault"}


@dataclass(frozen=True)
class Outcome:
    """How one stage ended: with what it found, or with an error, also where the process ended in it."""

    found: dict[str, Any] = field(default_factory=dict)
    error: str = ""


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


@dataclass(frozen=True)
class Trial:
    """The worker while it runs."""

    process: subprocess.Popen[bytes]
    log: IO[bytes]

    def report(self) -> Report:
        """What it reports, when it has ended or kept silent for too long; it is ended then."""
        stages: dict[str, Outcome] = {}
        last, ended, buffer = "import", False, b""
        assert self.process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            deadline = time.monotonic() + SECONDS
            while selector.select(max(0.0, deadline - time.monotonic())):
                piece = os.read(self.process.stdout.fileno(), 65536)
                if not piece:
                    break
                deadline = time.monotonic() + SECONDS
                *lines, buffer = (buffer + piece).split(b"\n")
                for line in map(json.loads, lines):
                    last = line["stage"]
                    stages[last] = Outcome(line.get("found", {}), line.get("error", ""))
                    ended = len(line) > 1
            else:
                self.process.kill()
                stages[last] = Outcome(error=f"no answer for {SECONDS:.0f} s")
                return Report(stages)
        code = self.process.wait()
        if not ended:
            stages[last] = Outcome(error=self._crash(code))
        return Report(stages)

    def _crash(self, code: int) -> str:
        """What ended the process, and the last that it said."""
        self.log.seek(0)
        lines = self.log.read().decode("utf-8", "replace").strip().splitlines()
        said = f" ({lines[-1].strip()[:300]})" if lines else ""
        if code >= 0:
            return f"the process ended with exit code {code}{said}"
        name = signal.Signals(-code)
        what = _SIGNALS_OF_CRASHES.get(name)
        return f"the process was ended by {name.name}{f', {what}' if what else ''}{said}"


@contextlib.contextmanager
def trying(folder: Path) -> Iterator[Trial]:
    """A worker that tries TensorFlow, with the packages that this process would import; whatever it writes goes to
    `folder`.

    It never outlives the block, nor this process.
    """
    # What a wrong backend does is said elsewhere: the rest must still be tried.
    settings = {"TMPDIR": str(folder), "KERAS_BACKEND": "tensorflow"}
    environment = {"TF_CPP_MIN_LOG_LEVEL": "2", **os.environ, **settings}
    command = [sys.executable, "-P", "-c", _START, json.dumps(sys.path), str(folder)]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log
        )
        with process, undone(lambda: _end(process)):
            yield Trial(process, log)


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    process.wait()
