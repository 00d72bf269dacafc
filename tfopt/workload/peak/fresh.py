"""Measure memory in a fresh process, where nothing was allocated before; this process needs no TensorFlow for it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import msgspec

from tfopt.errors import InputError, RunFailed, TfoptError, UsageError
from tfopt.undo import undone
from tfopt.workload.duel.contestant import Contestant
from tfopt.workload.peak.messages import Answer, Asked, Failure

__all__ = ["Killed", "measured"]

_STEPS = 3
# -P: a folder called tfopt in the working directory is not the one that runs.
_WORKER = (sys.executable, "-P", "-m", "tfopt.workload.peak.worker")
_ERRORS: dict[str, type[TfoptError]] = {error.__name__: error for error in (UsageError, InputError)}


class Killed(RunFailed):
    """The process was ended from outside: the kernel does so where memory runs out."""


def measured(contestant: Contestant, steps: int = _STEPS) -> Answer:
    """Run `steps` steps in a process of their own. Raises what it raises, Killed where it was killed."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)}
    process = subprocess.Popen(
        _WORKER,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        start_new_session=True,
    )
    with process, undone(process.kill):
        out, said = process.communicate(msgspec.json.encode(Asked(contestant, steps)))
    if process.returncode == -signal.SIGKILL:
        raise Killed("the process that measured it was killed: memory ran out", "choose a smaller batch")
    if process.returncode or not out:
        last = said.decode("utf-8", "replace").strip().rpartition("\n")[2]
        raise RunFailed(
            f"the process that measured memory ended with code {process.returncode}: {last[:200]}",
            "tfopt profile shows whether it runs by itself",
        )
    answer = msgspec.json.decode(out, type=Answer | Failure)
    if isinstance(answer, Failure):
        raise _ERRORS.get(answer.kind, RunFailed)(answer.message, answer.hint)
    return answer
