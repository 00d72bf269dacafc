"""`tfopt compare`: which way of running a model is fastest here, and what each does to the numbers.

This process never imports TensorFlow: whatever runs a model is a worker.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import platform
import time
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any, Literal

import tfopt
from tfopt.errors import UsageError
from tfopt.model.steady import steady
from tfopt.profiling.arms import Entry, baseline_of, drift_groups, entries
from tfopt.profiling.comparison import compared
from tfopt.profiling.sources import sources_of
from tfopt.profiling.variants import default_variants, parse_variant
from tfopt.records.comparison import ComparisonRecord, ComparisonRun
from tfopt.records.duel import Clock
from tfopt.report.progress import ProgressCallback, silent
from tfopt.workload.cpu import cpu_name
from tfopt.workload.drift.drifting import Drifting, drifting
from tfopt.workload.duel import Contestant, DuelOutcome, duel
from tfopt.workload.duel.contest import not_fought
from tfopt.workload.duel.rules import Rules
from tfopt.workload.options import Options

__all__ = ["compare"]

# The part of the time that what is computed may take, and a metric of it for each arm.
_DRIFT, _METRIC = 0.25, 0.05
_MIN_PROCESSES = 4


def compare(
    model: Any,
    *,
    variants: Sequence[str] = (),
    batch_sizes: Sequence[int] = (),
    mode: Literal["train", "infer"] = "train",
    input_shape: Sequence[str] = (),
    input_size: int | None = None,
    data: str = "synthetic",
    loss: str | None = None,
    optimizer: str | None = None,
    imports: Sequence[str] = (),
    unsafe: bool = False,
    device: str = "auto",
    seed: int = 0,
    threads: int | None = None,
    tolerance: float = 0.05,
    clock: Clock | None = None,
    max_time: float = 300.0,
    processes: int = 12,
    drift: bool = True,
    samples: int = 1000,
    command: str = "tfopt.compare",
    progress: ProgressCallback = silent,
) -> ComparisonRecord:
    """Compare ways to run one model, or several models, side by side in fresh processes.

    Args:
        model: a path, `app:NAME` or a Keras model, or a sequence of these. A model object is saved to a temporary file
            and left as it is.
        variants: names of `tfopt.profiling.variants.VARIANTS`, or several joined by `+`; default `graph`, `xla` and
            `mixed_bfloat16`, of several models `graph`.
        batch_sizes: examples per step; each makes an arm of its own.
        mode, input_shape, input_size, data, loss, optimizer, imports, unsafe, device, seed, threads: as in
            `tfopt.profile`.
        tolerance: a change below it does not matter (0.05: 5 %).
        clock: `wall` or `cpu` decides; None: wall time, and CPU time where only that can tell.
        max_time: seconds that the whole comparison may take.
        processes: most worker processes per arm.
        drift: compare also what is computed.
        samples: most samples of `data` over which the metric is compared.
        command: the command line, for the record.
        progress: called with a stage and the fraction done (None while unknown).

    Returns:
        The record. Ctrl-C ends measuring: the record then holds what was finished, and says so.

    Raises:
        UsageError, InputError, RunFailed: with a hint that mends it; arms other than the baseline fail in the record.
        KeyboardInterrupt: before anything was measured.
    """
    began = time.monotonic()
    started_at = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    if any(size < 1 for size in batch_sizes):
        raise UsageError("a batch holds at least one example", "give positive batch sizes")
    fewest = min(_MIN_PROCESSES, processes)
    Rules(tolerance, clock, max_time, fewest, processes, seed)  # raises before anything runs
    with contextlib.ExitStack() as stack:
        sources = sources_of(model, stack)
        files = [source.path for source in sources if source.format != "application"]
        for path in [*files, data] if data.endswith(".npz") else files:
            stack.enter_context(steady(path))  # every worker reads it anew, and all of them are to read the same
        chosen = [parse_variant(name) for name in (variants or default_variants(sources))]
        options = Options(mode, None, tuple(input_shape), data, loss, optimizer, seed=seed)
        base = Contestant("", "", options, device, threads, tuple(imports), unsafe, input_size)
        arms = entries(sources, chosen, tuple(batch_sizes) or (None,), base)
        baseline = baseline_of(arms)
        others = [arm for arm in arms if arm is not baseline]
        numbers = _numbers(arms, samples, began, max_time, progress) if drift else []
        if numbers and (refusal := numbers[0].refusal) is not None:
            raise refusal
        sides = baseline.contestant, [arm.contestant for arm in others]
        if any(group.interrupted for group in numbers):
            outcome = not_fought(*sides, tolerance=tolerance)
        else:
            outcome = duel(
                *sides,
                tolerance=tolerance,
                clock=clock,
                max_seconds=max(1.0, max_time - (time.monotonic() - began)),
                min_processes=fewest,
                max_processes=processes,
                seed=seed,
                progress=progress,
            )
    if outcome.interrupted and not _anything(outcome, numbers):
        raise KeyboardInterrupt
    run = ComparisonRun(
        mode=mode,
        data=data,
        device=next(filter(None, (*(group.device for group in numbers), outcome.timings[0].device)), device),
        threads=threads or len(os.sched_getaffinity(0)),
        cpu=cpu_name(),
        seed=seed,
        clock=clock,
        tolerance=tolerance,
        max_seconds=max_time,
        seconds=time.monotonic() - began,
        interrupted=outcome.interrupted,
        command=command,
        started_at=started_at,
        tfopt=tfopt.__version__,
        python=platform.python_version(),
        tensorflow=version("tensorflow"),
        keras=version("keras"),
        processes=processes,
        samples=samples,
        input_shape=tuple(input_shape),
        input_size=input_size,
        loss=loss,
        optimizer=optimizer,
        failure=outcome.failure.message if outcome.failure is not None else "",
    )
    return compared(run, (baseline, *others), outcome, numbers)


def _numbers(
    arms: Sequence[Entry], samples: int, began: float, max_time: float, progress: ProgressCallback
) -> list[Drifting]:
    """What the arms compute, model by model, each within its part of the time, until Ctrl-C."""
    groups, found = drift_groups(arms), list[Drifting]()
    part = max_time * _DRIFT / len(groups)
    for number, (reference, others) in enumerate(groups, 1):
        group = drifting(
            reference,
            others,
            samples=samples,
            metric_seconds=max_time * _METRIC / len(arms),
            deadline=began + part * number,
            progress=progress,
        )
        found.append(group)
        if group.interrupted:
            break
    return found


def _anything(outcome: DuelOutcome, numbers: Sequence[Drifting]) -> bool:
    """Whether there is anything to show: a time, or a drift of anything but the reference itself."""
    drifts = [drift for group in numbers for drift in group.drifts.values()]
    compared = any(not drift.failure and drift.label != drift.reference for drift in drifts)
    return compared or any(timing.wall_ms is not None for timing in outcome.timings)
