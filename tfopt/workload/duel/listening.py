"""What one worker process says, taken into the contestants' standings; and whose fault it is where it says no more."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from tfopt.errors import InputError, RunFailed, TfoptError, UsageError
from tfopt.records.duel import Verdict
from tfopt.workload.duel.messages import Doing, Done, Message, Pair, Ready, Refused
from tfopt.workload.duel.process import Ended, Worker
from tfopt.workload.duel.standing import Standing

__all__ = ["Listener"]

# What takes this many times longer than it took last time counts as hung, but nothing does within half a minute.
_PATIENCE, _LEAST_PATIENCE_S = 10.0, 30.0
_ERRORS: dict[str, type[TfoptError]] = {error.__name__: error for error in (UsageError, InputError)}


class Listener:
    """Listens to one worker. `tell` is called with the contestant's label, what it does, and the pairs that it ran."""

    def __init__(
        self,
        baseline: Standing,
        arms: Mapping[str, Standing],
        deadline: float,
        tell: Callable[[str, str, int], None],
    ) -> None:
        self._baseline, self._arms, self._deadline, self._tell = baseline, arms, deadline, tell
        self._open = set(arms)
        self._doing = Doing("", "starting a process")
        self._began = time.monotonic()
        self._pairs: list[Pair] = []

    def listen(self, child: Worker) -> None:
        """Return when the worker has done its task, the deadline is reached or an arm has failed.

        Raises RunFailed, InputError or UsageError where it is not an arm that fails.
        """
        while self._open and (message := self._next(child)) is not None:
            self._take(message)

    def _next(self, child: Worker) -> Message | None:
        silent_since = time.monotonic()
        try:
            message = child.receive(min(self._deadline, silent_since + self._patience(self._deadline - silent_since)))
        except Ended as ended:
            self._failed("CRASHED", str(ended))
            return None
        if message is None and (now := time.monotonic()) < self._deadline:
            self._failed("HUNG", f"no answer for {now - silent_since:.0f} s")
        return message

    def _patience(self, left: float) -> float:
        """How long to wait for a word. Where nobody knows how long it takes, half of the time that is left."""
        if self._doing.patience_s is not None:
            return self._doing.patience_s
        cost = self._arms.get(self._doing.label, self._baseline).cost_s
        return left / 2 if cost is None else max(_LEAST_PATIENCE_S, _PATIENCE * cost)

    def _failed(self, verdict: Verdict, reason: str) -> None:
        label, phase = self._doing.label, self._doing.phase
        if label in self._arms:
            self._arms[label].failure = (verdict, f"{reason} while {phase}")
            return
        raise RunFailed(
            f"{label or 'a worker process'}: {reason} while {phase}",
            "tfopt profile shows whether it runs by itself" if label else "does `python -c 'import keras'` work?",
        )

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
                self._arms[label].processes.append(tuple(self._pairs))
                self._arms[label].early.append(early)
                self._arms[label].cost_s = time.monotonic() - self._began
                self._open.discard(label)
            case Refused(label=label, kind=kind, message=text, hint=hint):
                if label not in self._arms:
                    raise _ERRORS.get(kind, RunFailed)(text, hint)
                self._arms[label].failure = ("REFUSED", f"{text} ({hint})")
                self._open.discard(label)
