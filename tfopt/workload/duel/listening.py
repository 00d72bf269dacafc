"""What one worker process says, taken into the contestants' standings; and whose fault it is where it says no more."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from tfopt.errors import RunFailed
from tfopt.records.duel import Verdict
from tfopt.workload.duel.messages import Done, Message, Pair, Ready
from tfopt.workload.duel.standing import Standing
from tfopt.workload.workers.messages import Doing, Refused
from tfopt.workload.workers.process import Ended, Worker

__all__ = ["BaselineHung", "Listener", "TooSlow"]

# What takes this many times longer than it took last time counts as hung, but nothing does within half a minute.
_PATIENCE, _LEAST_PATIENCE_S = 10.0, 30.0
# Where nobody knows how long it takes, half of the time that is left; but it takes an eighth of all to be called hung.
_OF_REST, _OF_ALL = 1 / 2, 1 / 8
_SILENCE = {False: "no answer for {:.0f} s", True: "still at work after {:.0f} s, which may need a longer time,"}


class BaselineHung(RunFailed):
    """What all are compared with says no more."""


class TooSlow(RunFailed):
    """The time was over while it was still at work."""


class Listener:
    """Listens to one worker. `tell` is called with the contestant's label, what it does, and the pairs that it ran."""

    def __init__(
        self,
        baseline: Standing,
        arms: Mapping[str, Standing],
        deadline: float,
        max_seconds: float,
        tell: Callable[[str, str, int], None],
    ) -> None:
        self._baseline, self._arms, self._tell = baseline, arms, tell
        self._deadline, self._max_seconds = deadline, max_seconds
        self._open = set(arms)
        self._doing = Doing("", "starting a process")
        self._began = time.monotonic()
        self._pairs: list[Pair] = []

    def listen(self, child: Worker[Message]) -> None:
        """Return when the worker has done its task, the deadline is reached or an arm has failed.

        Raises RunFailed, InputError or UsageError where it is not an arm that fails.
        """
        while self._open and (message := self._next(child)) is not None:
            self._take(message)

    def _next(self, child: Worker[Message]) -> Message | None:
        silent_since = time.monotonic()
        try:
            message = child.receive(min(self._deadline, silent_since + self._patience(self._deadline - silent_since)))
        except Ended as ended:
            self._failed("CRASHED", str(ended))
            return None
        if message is None and (now := time.monotonic()) < self._deadline:
            working = self._doing.patience_s is None and self._cost() is None and child.working
            self._failed("NOT RUN" if working else "HUNG", _SILENCE[working].format(now - silent_since))
        return message

    def _patience(self, left: float) -> float:
        """How many seconds to wait for a word."""
        if self._doing.patience_s is not None:
            return self._doing.patience_s
        cost = self._cost()
        if cost is None:
            return max(_OF_REST * left, _OF_ALL * self._max_seconds)
        return max(_LEAST_PATIENCE_S, _PATIENCE * cost)

    def _cost(self) -> float | None:
        return self._arms.get(self._doing.label, self._baseline).cost_s

    def _failed(self, verdict: Verdict, what: str) -> None:
        label, reason = self._doing.label, f"{what} while {self._doing.phase}"
        if label in self._arms:
            self._arms[label].failure = (verdict, reason)
            return
        if verdict == "NOT RUN":
            raise TooSlow(
                f"{label or 'a worker process'} was still {self._doing.phase} after {self._max_seconds:.0f} s",
                "give it more time: --max-time 300",
            )
        hint = "tfopt profile shows whether it runs by itself" if label else "does `python -c 'import keras'` work?"
        kind = BaselineHung if verdict == "HUNG" else RunFailed
        raise kind(f"{label or 'a worker process'}: {reason}", hint)

    def _take(self, message: Message) -> None:
        match message:
            case Doing(label=label, phase=phase):
                if label in self._arms and label != self._doing.label:
                    self._began, self._pairs = time.monotonic(), []
                self._doing = message
                self._tell(label, phase, 0)
            case Ready(label=label):
                standing = self._arms.get(label, self._baseline)
                standing.readies.append(message)
                if standing is self._baseline:
                    standing.cost_s = time.monotonic() - self._began
            case Pair():
                self._pairs.append(message)
                self._tell(message.label, self._doing.phase, len(self._pairs))
            case Done(label=label, early=early):
                standing = self._arms[label]
                standing.processes.append(tuple(self._pairs))
                standing.early.append(early)
                standing.cost_s = time.monotonic() - self._began
                self._open.discard(label)
            case Refused(label=label):
                error = message.error()
                if label not in self._arms:
                    raise error
                failed = isinstance(error, RunFailed)
                self._arms[label].failure = ("CRASHED" if failed else "REFUSED", f"{error.message} ({error.hint})")
                self._open.discard(label)
