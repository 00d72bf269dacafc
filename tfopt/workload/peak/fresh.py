"""Measure memory in a fresh process, where nothing was allocated before; this process needs no TensorFlow for it."""

from __future__ import annotations

import signal
import time

from tfopt.errors import RunFailed
from tfopt.workload.peak.messages import Answer, Asked, Message
from tfopt.workload.workers.contestant import Contestant
from tfopt.workload.workers.messages import Doing, Refused
from tfopt.workload.workers.process import PYTHON, Ended, worker

__all__ = ["Killed", "measured"]

_STEPS = 3
_COMMAND = (*PYTHON, "tfopt.workload.peak.worker")
# For each word of it: what XLA compiles for longer, or computes in one step, is not worth a search for its batch.
_PATIENCE_S = 600.0
_HINT = "tfopt profile shows whether it runs by itself"


class Killed(RunFailed):
    """The process was ended from outside: the kernel does so where memory runs out."""


def measured(contestant: Contestant, steps: int = _STEPS) -> Answer:
    """Run `steps` steps in a process of their own. Raises what it raises, Killed where it was killed, RunFailed where
    it ends or keeps silent."""
    phase = "starting"
    try:
        with worker(Asked(contestant, steps), _COMMAND, Message) as child:
            while True:
                match child.receive(time.monotonic() + _PATIENCE_S):
                    case Doing(phase=phase):
                        continue
                    case Refused() as refused:
                        raise refused.error()
                    case Answer() as answer:
                        return answer
                    case _:
                        raise Ended(f"no answer for {_PATIENCE_S:.0f} s")
    except Ended as ended:
        if ended.signal == signal.SIGKILL:
            raise Killed("the process that measured it was killed: memory ran out", "choose a smaller batch") from None
        raise RunFailed(f"measuring memory in a process of its own, {phase}: {ended}", _HINT) from None
