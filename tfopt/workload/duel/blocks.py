"""Inside a worker: a contestant made ready, and pairs of blocks of two of them."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from tfopt.errors import InputError
from tfopt.model.said import said_as_notes
from tfopt.records.duel import CLOCKS
from tfopt.workload.batch import Batch
from tfopt.workload.device import place
from tfopt.workload.duel.enough import calls_per_block, enough, gross
from tfopt.workload.duel.messages import Done, Message, Pair, Ready, Task, Time
from tfopt.workload.failures import StepUnsound, explained, file_at_fault
from tfopt.workload.options import Options
from tfopt.workload.prepared import loaded_model, prepared
from tfopt.workload.timing import collector_held, finished, timed, warm_up
from tfopt.workload.workers.contestant import Contestant
from tfopt.workload.workers.messages import Doing
from tfopt.workload.workload import Runner

__all__ = ["Arm", "fight", "ready"]

Say = Callable[[Message], None]

# How much longer than expected something may take before it counts as hung.
_PATIENCE, _LEAST_PATIENCE_S = 10.0, 30.0
# A step that takes longer is warmed up by one step alone.
_SLOW_S = 2.0


@dataclass(frozen=True)
class Arm:
    """A contestant that is ready to run; `step_s` is about what a step takes, `slow` the time of the only step that a
    slow one was warmed up by."""

    label: str
    run: Runner
    step_s: float
    on_cpu: bool
    slow: Time | None = None


def ready(contestant: Contestant, say: Say) -> Arm:
    """Load, prepare, compile and warm up. Raises TfoptError where that cannot be done."""
    label = contestant.label
    say(Doing(label, "loading"))
    started = time.perf_counter()
    placement = place(contestant.device)
    with placement.scope(), said_as_notes([]):
        loaded = loaded_model(contestant)
        with file_at_fault(loaded.source, contestant.options):
            workload = prepared(loaded, contestant.options, placement)
            _check_batch(workload.batch, contestant.options)
            run = workload.runner()
            prepare_s = time.perf_counter() - started
            say(Doing(label, "compiling"))
            with explained("the first step", StepUnsound):
                started = time.perf_counter()
                finished(run())
                compile_s = time.perf_counter() - started
        say(Doing(label, "warming up", _patience(compile_s)))
        with explained("the step"):
            step_s, slow = _warm(run)
    examples = run.examples / len(run.waits_ms)
    on_cpu = placement.kind == "CPU"
    say(Ready(label, prepare_s, compile_s, examples, on_cpu, placement.name, workload.notes))
    return Arm(label, run, step_s, on_cpu, slow)


def _warm(run: Runner) -> tuple[float, Time | None]:
    """Run steps until they are stable: seconds per step, and the first one's time where it is slow, and so the last."""
    started = time.perf_counter()
    first = _block(run, 1)
    if (step_s := time.perf_counter() - started) > _SLOW_S:
        return step_s, first
    steps = warm_up(run)
    return (time.perf_counter() - started) / (1 + steps), None


def _check_batch(batch: Batch, options: Options) -> None:
    """Labels, and times per example, say the batch size that was asked for."""
    if options.batch_size not in (None, batch.size):
        raise InputError(
            f"{batch.source} has no batch of {options.batch_size}, but one of {batch.size} examples",
            "choose smaller --batch-sizes, or bring more data",
        )


def fight(baseline: Arm, arm: Arm, task: Task, say: Say) -> None:
    """Pairs of blocks, in an order drawn anew for each, until their median is known well enough or the time is over."""
    calls = calls_per_block(max(baseline.step_s, arm.step_s))
    order = random.Random(task.seed + arm.label)
    clocks = CLOCKS if baseline.on_cpu and arm.on_cpu else CLOCKS[:1]
    say(Doing(arm.label, "measuring", _patience((calls + 1) * (baseline.step_s + arm.step_s))))
    with explained("the step"), collector_held():
        started = time.perf_counter()
        timed(baseline.run)  # other models ran since it was warm
        pairs = [] if arm.slow is None else [Pair(arm.label, _block(baseline.run, calls), arm.slow)]
        if gross(pairs, clocks):  # good enough for that, and a step of such an arm is dear
            started -= arm.step_s
            say(pairs[0])
        else:
            pairs.clear()
        while not enough(pairs, task, time.perf_counter() - started, clocks):
            blocks: dict[str, Time] = {}
            for side in order.sample((baseline, arm), 2):
                blocks[side.label] = _block(side.run, calls)
            pairs.append(Pair(arm.label, blocks[baseline.label], blocks[arm.label]))
            say(pairs[-1])
    say(Done(arm.label, gross(pairs, clocks)))


def _block(run: Runner, calls: int) -> Time:
    """The least of `calls` steps on either clock, in ms per example."""
    walls, cpus = [], []
    for _ in range(calls):
        before = run.examples
        wall, cpu, _ = timed(run)
        walls.append(wall / (run.examples - before))
        cpus.append(cpu / (run.examples - before))
    return min(walls), min(cpus)


def _patience(expected_s: float) -> float:
    return max(_LEAST_PATIENCE_S, _PATIENCE * expected_s)
