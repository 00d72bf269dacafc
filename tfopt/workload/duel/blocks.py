"""Inside a worker: a contestant made ready, and pairs of blocks of two of them."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

import keras

from tfopt.model.load import load
from tfopt.model.said import said_as_notes
from tfopt.workload.device import place
from tfopt.workload.duel.contestant import Contestant
from tfopt.workload.duel.messages import Doing, Done, Message, Pair, Ready, Task, Time
from tfopt.workload.failures import StepUnsound, explained, file_at_fault
from tfopt.workload.prepared import prepared
from tfopt.workload.timing import collector_held, finished, timed, warm_up
from tfopt.workload.workload import Runner

__all__ = ["Arm", "fight", "ready"]

Say = Callable[[Message], None]

# A block has five calls, fewer where they would take longer than two seconds.
_CALLS, _BLOCK_S = 5, 2.0
# An arm this many times slower or faster than the baseline needs few pairs.
_GROSS, _GROSS_PAIRS, _FEWEST_PAIRS = 2.0, 2, 2
# Quick steps get more pairs than asked for, up to so many times as many, as long as these seconds are not over.
_QUICK_TIMES, _QUICK_S = 5, 1.0
# How much longer than expected something may take before it counts as hung.
_PATIENCE, _LEAST_PATIENCE_S = 10.0, 30.0


@dataclass(frozen=True)
class Arm:
    """A contestant that is ready to run; `step_s` is about what a step takes."""

    label: str
    run: Runner
    step_s: float


def ready(contestant: Contestant, say: Say) -> Arm:
    """Load, prepare, compile and warm up. Raises TfoptError where that cannot be done."""
    label = contestant.label
    say(Doing(label, "loading"))
    started = time.perf_counter()
    placement = place(contestant.device)
    with placement.scope(), said_as_notes([]):
        keras.utils.set_random_seed(contestant.options.seed)
        loaded = load(
            contestant.model,
            imports=contestant.imports,
            unsafe=contestant.unsafe,
            input_size=contestant.input_size,
        )
        with file_at_fault(loaded.source, contestant.options):
            run = prepared(loaded, contestant.options, placement).runner()
            prepare_s = time.perf_counter() - started
            say(Doing(label, "compiling"))
            with explained("the first step", StepUnsound):
                started = time.perf_counter()
                finished(run())
                compile_s = time.perf_counter() - started
        say(Doing(label, "warming up", _patience(compile_s)))
        with explained("the step"):
            started = time.perf_counter()
            steps = warm_up(run)
            step_s = (time.perf_counter() - started) / steps
    examples = run.examples / len(run.waits_ms)
    say(Ready(label, prepare_s, compile_s, examples, placement.kind == "CPU"))
    return Arm(label, run, step_s)


def fight(baseline: Arm, arm: Arm, task: Task, say: Say) -> None:
    """Pairs of blocks, in an order drawn anew for each, until there are enough or `task.pair_seconds` are over."""
    calls = max(1, min(_CALLS, int(_BLOCK_S / max(baseline.step_s, arm.step_s))))
    order = random.Random(task.seed + arm.label)
    say(Doing(arm.label, "measuring", _patience((calls + 1) * (baseline.step_s + arm.step_s))))
    logs: list[float] = []
    with explained("the step"), collector_held():
        baseline.run()  # other models ran since it was warm
        started = time.perf_counter()
        while not _enough(logs, task, time.perf_counter() - started):
            blocks: dict[str, Time] = {}
            for side in order.sample((baseline, arm), 2):
                blocks[side.label] = _block(side.run, calls)
            pair = Pair(arm.label, blocks[baseline.label], blocks[arm.label])
            logs.append(math.log(pair.arm[0] / pair.baseline[0]))
            say(pair)
    say(Done(arm.label, _gross(logs)))


def _block(run: Runner, calls: int) -> Time:
    """The least of `calls` steps on either clock, in ms per example."""
    walls, cpus = [], []
    for _ in range(calls):
        before = run.examples
        wall, cpu, _ = timed(run)
        walls.append(wall / (run.examples - before))
        cpus.append(cpu / (run.examples - before))
    return min(walls), min(cpus)


def _enough(logs: list[float], task: Task, seconds: float) -> bool:
    gross = _gross(logs)
    if seconds >= task.pair_seconds and len(logs) >= (1 if gross else _FEWEST_PAIRS):
        return True
    if gross or seconds >= _QUICK_S:
        return len(logs) >= (_GROSS_PAIRS if gross else task.pairs)
    return len(logs) >= _QUICK_TIMES * task.pairs


def _gross(logs: list[float]) -> bool:
    """Whether every pair so far is far apart, and in the same direction."""
    return bool(logs) and (min(logs) > math.log(_GROSS) or max(logs) < -math.log(_GROSS))


def _patience(expected_s: float) -> float:
    return max(_LEAST_PATIENCE_S, _PATIENCE * expected_s)
