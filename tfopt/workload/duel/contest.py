"""The whole duel: worker after worker until every arm is decided or the time is over."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tfopt.errors import TfoptError, UsageError
from tfopt.model.source import identify
from tfopt.records.base import Note
from tfopt.records.duel import ArmTiming, Clock, DuelResult, Ending
from tfopt.report.progress import ProgressCallback, silent
from tfopt.workload.duel.listening import Listener
from tfopt.workload.duel.messages import Message, Task
from tfopt.workload.duel.rules import Rules
from tfopt.workload.duel.standing import Standing
from tfopt.workload.duel.statistics import GROSS_PROCESSES, decided, settled
from tfopt.workload.workers.contestant import Contestant
from tfopt.workload.workers.process import PYTHON, worker

__all__ = ["DuelOutcome", "duel", "not_fought"]

_COMMAND = (*PYTHON, "tfopt.workload.duel.worker")
_PAIRS = 6
# How well a process is to know its median, as a part of the tolerance: about as well as processes agree.
_PRECISION = 0.4
# The part of an arm's share of the time that is for its pairs; the rest is for loading, compiling and warming up.
_MEASURING = 0.5
# Left for ending the last worker.
_MARGIN_S = 0.5
# A worker is started if what the last one took, and a tenth more, still fits.
_RESERVE = 1.1


@dataclass(frozen=True)
class DuelOutcome:
    """What a duel found: a timing per contestant (the baseline first), a result per arm, in the order given.

    `interrupted` where Ctrl-C ended it, `failure` where the baseline failed after something had been measured, or a
    worker before it was at any contestant: arms are then judged by the processes that had finished. `notes` tell of
    how the steps were made, each once.
    """

    timings: tuple[ArmTiming, ...]
    results: tuple[DuelResult, ...]
    interrupted: bool = False
    failure: TfoptError | None = None
    notes: tuple[Note, ...] = ()


def duel(
    baseline: Contestant,
    arms: Sequence[Contestant],
    *,
    tolerance: float = 0.05,
    clock: Clock | None = None,
    max_seconds: float = 300,
    min_processes: int = 4,
    max_processes: int = 12,
    one_sided: bool = False,
    seed: int = 0,
    progress: ProgressCallback = silent,
    on_result: Callable[[DuelResult], None] | None = None,
) -> DuelOutcome:
    """Measure each arm against the baseline, side by side in fresh processes, until it is decided.

    Args:
        baseline: what the arms are compared with. Ratios are of times per example: arm / baseline.
        arms: the contenders, each with a label of its own.
        tolerance: a change below it does not matter (0.05: 5 %).
        clock: `wall` or `cpu` (CPU time of the process) decides; None: wall time, and CPU time where wall time cannot
            tell a change of `tolerance` and CPU time can.
        max_seconds: the whole duel ends within it, start of workers included.
        min_processes, max_processes: fresh worker processes per arm.
        one_sided: ask only whether an arm is slower: measuring then goes on until that is told, and no longer.
        seed: for the order within pairs; models and data have their own in `Options`.
        progress: called with a stage and the fraction done.
        on_result: called with each arm's result as soon as it is final.

    Raises:
        UsageError: labels or numbers that make no sense.
        InputError, RunFailed: the baseline cannot be run, with its reason, and nothing was measured.
    """
    rules = Rules(tolerance, clock, max_seconds, min_processes, max_processes, seed, one_sided)
    _check(baseline, arms)
    identify(baseline.model)  # says at once what is wrong with it
    contest = _Contest(baseline, arms, rules, progress)
    interrupted = False
    try:
        for result in contest.results():
            if on_result is not None:
                on_result(result)
    except KeyboardInterrupt:
        interrupted = True
    return contest.outcome(interrupted)


def not_fought(baseline: Contestant, arms: Sequence[Contestant], *, tolerance: float) -> DuelOutcome:
    """The outcome of a duel that was interrupted before it began."""
    return _Contest(baseline, arms, Rules(tolerance, None, 1.0, 2, 2, 0), silent).outcome(interrupted=True)


def _check(baseline: Contestant, arms: Sequence[Contestant]) -> None:
    everybody = (baseline, *arms)
    label, count = Counter(contestant.label for contestant in everybody).most_common(1)[0]
    if not arms:
        raise UsageError("there is nothing to compare", "name another model or variant")
    if count > 1 or not all(contestant.label for contestant in everybody):
        raise UsageError(f"{count} contestants are called {label!r}", "give each of them a name of its own")
    if len({contestant.threads for contestant in everybody}) > 1:
        raise UsageError("contestants ask for different numbers of threads", "they share a process: choose one number")


class _Contest:
    """A duel under way."""

    def __init__(
        self, baseline: Contestant, arms: Sequence[Contestant], rules: Rules, progress: ProgressCallback
    ) -> None:
        self._contestants = {contestant.label: contestant for contestant in (baseline, *arms)}
        self._baseline = Standing(baseline.label)
        self._arms = {arm.label: Standing(arm.label) for arm in arms}
        self._open = dict(self._arms)
        self._rules, self._progress = rules, progress
        self._deadline = time.monotonic() + rules.max_seconds - _MARGIN_S
        self._cut_short: Ending = "time"
        self._unmeasured = f"the time of {rules.max_seconds:.0f} s was over before it was measured"
        self._failure: TfoptError | None = None

    def results(self) -> Iterator[DuelResult]:
        """Run workers; each arm's result as soon as it is final. What fails once something was measured ends it."""
        number = 0
        while chosen := self._chosen(number):
            number += 1
            try:
                self._work(number, chosen)
            except TfoptError as error:
                if not any(arm.processes for arm in self._arms.values()):
                    raise
                self._failure, self._cut_short = error, "failed"
                self._unmeasured = "measuring ended before its turn: " + error.message
                break
            self._check_clock()
            final = [standing for standing in self._open.values() if self._final(standing)]
            for standing in final:
                del self._open[standing.label]
                yield self._result(standing)
        yield from map(self._result, self._open.values())

    def outcome(self, interrupted: bool) -> DuelOutcome:
        """What is known now."""
        if interrupted:
            self._cut_short, self._unmeasured = "interrupted", "interrupted before it was measured"
        everybody = (self._baseline, *self._arms.values())
        pairs = {label: [pair for pairs in arm.processes for pair in pairs] for label, arm in self._arms.items()}
        return DuelOutcome(
            timings=(
                self._baseline.timing(pair.baseline for of_one in pairs.values() for pair in of_one),
                *(arm.timing(pair.arm for pair in pairs[label]) for label, arm in self._arms.items()),
            ),
            results=tuple(map(self._result, self._arms.values())),
            interrupted=interrupted,
            failure=self._failure,
            notes=tuple(dict.fromkeys(note for one in everybody for ready in one.readies for note in ready.notes)),
        )

    def _result(self, standing: Standing) -> DuelResult:
        rules = self._rules
        return standing.result(self._baseline, rules.tolerance, rules.clock, self._ended(standing), self._unmeasured)

    def _ended(self, standing: Standing) -> Ending:
        rules, logs = self._rules, self._logs(standing)
        if standing.failure is not None:
            return "time" if standing.failure[0] == "NOT RUN" else "failed"
        if not self._final(standing):
            return self._cut_short
        told = settled(logs, rules.tolerance, rules.min_processes, gross=standing.gross, one_sided=rules.one_sided)
        return "decided" if told else "processes"

    def _final(self, standing: Standing) -> bool:
        rules, logs = self._rules, self._logs(standing)
        return standing.failure is not None or decided(
            logs,
            rules.tolerance,
            rules.min_processes,
            rules.max_processes,
            gross=standing.gross,
            one_sided=rules.one_sided,
        )

    def _logs(self, standing: Standing) -> list[float]:
        return standing.logs(self._rules.clock or "wall")

    def _check_clock(self) -> None:
        """CPU time sees nothing of what another device does, on either side."""
        if self._rules.clock != "cpu":
            return
        message, hint = "CPU time says nothing about what runs on another device", "compare by wall time"
        if not self._baseline.on_cpu:
            raise UsageError(message, hint)
        for arm in self._open.values():
            if not arm.on_cpu and arm.failure is None:
                arm.failure = ("REFUSED", f"{message} ({hint})")

    def _chosen(self, number: int) -> list[Standing]:
        """Who takes part in the next worker: as many as are expected to finish in time, first those that ran least.

        Among equals the order is another one each time; but all get a second process, and so an interval, before any
        gets a third, and an arm that is far apart, which is asked for three, comes first until it has them.
        """
        waiting = list(self._open.values())
        turn = number % len(waiting) if waiting else 0
        chosen, room = [], self._deadline - time.monotonic() - _RESERVE * (self._baseline.cost_s or 0.0)
        for standing in sorted(waiting[turn:] + waiting[:turn], key=_urgency):
            cost = _RESERVE * (standing.cost_s or 0.0)
            if cost < room:
                chosen.append(standing)
                room -= cost
        return chosen

    def _work(self, number: int, chosen: list[Standing]) -> None:
        rules = self._rules
        share = rules.max_seconds / rules.min_processes / (len(self._arms) + 1)
        task = Task(
            baseline=self._contestants[self._baseline.label],
            arms=tuple(self._contestants[standing.label] for standing in chosen),
            pairs=_PAIRS,
            precision=_PRECISION * math.log1p(rules.tolerance),
            pair_seconds=share * _MEASURING,
            seed=f"{rules.seed} {number} ",
            clock=rules.clock or "wall",
        )

        def tell(label: str, phase: str, pairs: int) -> None:
            who = f"worker {number}/{rules.max_processes}: {label}{', ' if label else ''}"
            self._progress(who + phase, min(pairs / _PAIRS, 1.0) if phase == "measuring" else None)

        with worker(task, _COMMAND, Message) as child:
            arms = {arm.label: arm for arm in chosen}
            Listener(self._baseline, arms, self._deadline, rules.max_seconds, tell).listen(child)


def _urgency(standing: Standing) -> tuple[int, bool, int]:
    """Who goes first: the least."""
    count = len(standing.processes)
    return min(count, 2), not standing.gross or count >= GROSS_PROCESSES, count
