"""`tfopt check`: models against budgets, their lock and a baseline.

This process never imports TensorFlow: whatever runs a model is a worker. One model's failure is its own verdict: the
others are checked all the same.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import platform
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import tfopt
from tfopt.checks.checking import Checking, worst
from tfopt.checks.counting import count, explain, limits_of
from tfopt.checks.environment import environment
from tfopt.checks.failure import INTERRUPTED, MORE_TIME, Failure
from tfopt.checks.lock import read_lock, updated, write_lock
from tfopt.checks.running import Run
from tfopt.checks.settings import read_tables
from tfopt.checks.subjects import Subject, subjects_of
from tfopt.errors import InputError, TfoptError, UsageError
from tfopt.model.source import identify
from tfopt.model.steady import steady
from tfopt.profiling.sources import sources_of
from tfopt.records.base import Note
from tfopt.records.check import CheckRecord, CheckRun, GateKind
from tfopt.records.check_settings import AccuracySettings, ModelSettings, TimingSettings
from tfopt.records.facts import Lock
from tfopt.report.files import check_target
from tfopt.report.progress import ProgressCallback, silent
from tfopt.workload.options import Options, check_numbers
from tfopt.workload.workers.contestant import Contestant

__all__ = ["check"]

_KINDS: tuple[GateKind, ...] = ("budget", "accuracy", "timing")
_CTRL_C = 130  # 128 + SIGINT
_LEAST_S = 5.0  # in less TensorFlow is hardly loaded
# The part of a model's time that its accuracy may take where it is timed as well; what takes that long hangs.
_ACCURACY = 0.5
# The part of the time that loading the models and finding their facts may take where something runs as well.
_LOADING = 0.5
_TOO_LATE = Failure("", "the time was over before its turn (--max-time)", MORE_TIME)


def check(
    model: Any = (),
    *,
    models: Sequence[Mapping[str, Any]] = (),
    baseline: Any = None,
    budgets: Mapping[str, Any] = {},
    accuracy: Mapping[str, Any] = {},
    timing: Mapping[str, Any] = {},
    only: Sequence[GateKind] = (),
    lock: str = "tfopt.lock.json",
    update: bool = False,
    tolerance: float | None = None,
    self_test: bool = False,
    strict: bool = False,
    mode: Literal["train", "infer"] = "train",
    batch_size: int | None = None,
    input_shape: Sequence[str] = (),
    input_size: int | None = None,
    data: str = "synthetic",
    loss: str | None = None,
    optimizer: str | None = None,
    imports: Sequence[str] = (),
    unsafe: bool = False,
    xla: bool | None = None,
    device: str = "cpu",
    seed: int = 0,
    threads: int | None = None,
    max_time: float = 300.0,
    config: str | None = None,
    command: str = "tfopt.check",
    progress: ProgressCallback = silent,
) -> CheckRecord:
    """Whether models are still as small, as right and as fast as they are to be.

    Args:
        model: a path, `app:NAME` or a model object, or several; none: all of `models`.
        models: tables such as those of `[[check.models]]`, each a model with limits of its own.
        baseline: what models are held against that name none of their own.
        budgets, accuracy, timing: tables of limits, with the keys of `[check.budgets]` and so on.
        only: the kinds of gates; none: all for which there is something to hold a model against.
        lock: the file of what was accepted, which budgets on increases are held against.
        update: write it anew, with what the models have now.
        tolerance: how much slower a model may be (0.05: 5 %), before what `timing` and `models` say.
        self_test: time each model against itself as well: what differs there fails no gate.
        strict: an inconclusive gate is worth exit code 5.
        mode, batch_size, input_shape, input_size, data, loss, optimizer, imports, unsafe, xla, seed, threads: as for
            `tfopt.profile`; outputs are compared without training.
        device: on `cpu` CPU time gates, and wall time beside it; elsewhere wall time.
        max_time: seconds that the whole check may take.
        config, command: the file of the settings and the command line, for the record.
        progress: called with a stage and the fraction done (None while unknown).

    Returns:
        The record: every gate of every model, and the exit code that they are worth.

    Raises:
        UsageError: the settings make no sense, or leave nothing to check.
        InputError: the lock cannot be read.
        KeyboardInterrupt: Ctrl-C before anything was judged. Later it ends the check with what was judged until then,
            and exit code 130.
    """
    began, cpu_began = time.monotonic(), _cpu_seconds()
    started_at = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    if not max_time > 0:
        raise UsageError(f"a check cannot take {max_time} s", "give it some minutes")
    check_numbers(batch_size=batch_size, input_size=input_size, threads=threads)
    base = Contestant(
        "",
        "",
        Options(mode, batch_size, tuple(input_shape), data, loss, optimizer, xla=xla, seed=seed),
        device,
        threads,
        tuple(imports),
        unsafe,
        input_size,
    )
    objects: dict[str, str] = {}
    with contextlib.ExitStack() as stack:
        general = ModelSettings(
            model="",
            baseline=None if baseline is None else _named(baseline, stack, objects).model,
            budgets=budgets,
            accuracy=accuracy,
            timing=timing,
        )
        several = model if isinstance(model, Sequence) and not isinstance(model, str) else [model]
        subjects = subjects_of(
            [_named(one, stack, objects) for one in several],
            read_tables(models, "check.models"),
            general,
            base,
            tolerance,
        )
        lock_path, here = Path(lock), environment(threads)
        before = read_lock(lock_path)
        if update:
            _check_update(lock_path, only)
        checkings = [
            Checking(
                subject,
                _kinds(subject, only, self_test, limited=bool(limits_of(subject, before, update=update))),
                objects,
            )
            for subject in subjects
        ]
        counted = [checking for checking in checkings if "budget" in checking.left]
        run = Run(("cpu", "wall") if device == "cpu" else ("wall",), self_test, progress)
        deadline = began + max_time
        part = _LOADING if any(checking.left & run.stages.keys() for checking in checkings) else 1.0
        interrupted = False
        try:
            count(counted, before, here, update=update, seconds=part * (deadline - time.monotonic()), progress=progress)
            _run(checkings, run, deadline)
            for checking in checkings:
                explain(checking, deadline - time.monotonic(), progress)
        except KeyboardInterrupt:
            _cut_short(checkings)
            interrupted = True
    found = {checking.subject.label: checking.facts for checking in counted if checking.facts is not None}
    accepting = update and found and not interrupted
    notes, written = _accepted(lock_path, updated(before, found, here)) if accepting else ((), False)
    checked = tuple(checking.record(strict=strict) for checking in checkings)
    return CheckRecord(
        run=CheckRun(
            config=config,
            lock=None if before is None and not update else lock,
            updated=written,
            strict=strict,
            environment=here,
            max_seconds=max_time,
            seconds=time.monotonic() - began,
            cpu_seconds=_cpu_seconds() - cpu_began,
            seed=seed,
            threads=threads or len(os.sched_getaffinity(0)),
            command=command,
            started_at=started_at,
            tfopt=tfopt.__version__,
            python=platform.python_version(),
        ),
        exit_code=_CTRL_C if interrupted else worst([*(one.exit_code for one in checked), 4 if notes else 0]),
        models=checked,
        notes=notes,
    )


def _cut_short(checkings: Sequence[Checking]) -> None:
    """After Ctrl-C: say of each kind that is left why it was not judged. Raises it again where none was."""
    if not any(checking.gates for checking in checkings):
        raise
    for checking in checkings:
        for kind in sorted(checking.left, key=_KINDS.index):
            checking.failed(kind, INTERRUPTED)
        explain(checking, 0.0, silent)


def _check_update(lock: Path, only: Collection[GateKind]) -> None:
    """UsageError where nothing could be accepted, before anything runs."""
    if only and "budget" not in only:
        raise UsageError("--update accepts what budgets find, and --only leaves budgets out", "add budgets to --only")
    check_target(lock, force=True)


def _accepted(path: Path, lock: Lock) -> tuple[tuple[Note, ...], bool]:
    """Whether the lock was written; where not, why: what was found is shown all the same."""
    try:
        write_lock(path, lock)
    except TfoptError as error:
        return (Note(message=f"not accepted: {error.message}", hint=error.hint),), False
    return (), True


def _named(model: Any, stack: contextlib.ExitStack, objects: dict[str, str]) -> ModelSettings:
    """A path as it is; a model object in a file that lasts as long as `stack`, under its own name: one of `objects`."""
    if isinstance(model, str | os.PathLike):
        if not os.fspath(model):
            raise UsageError("a model has no name", "name a file, or app:NAME; is a variable empty?")
        return ModelSettings(model=os.fspath(model))
    source = sources_of(model, stack)[0]
    objects[source.path] = source.name
    return ModelSettings(model=source.path, label=source.name)


def _kinds(subject: Subject, asked: Collection[GateKind], self_test: bool, *, limited: bool) -> set[GateKind]:
    """What can be held against something. UsageError where limits are set for which there is nothing."""
    kinds: set[GateKind] = set(asked or _KINDS)
    possible = {"budget": limited, "accuracy": subject.baseline is not None}
    possible["timing"] = possible["accuracy"] or self_test
    set_by_hand = {"accuracy": subject.accuracy != AccuracySettings(), "timing": subject.timing != TimingSettings()}
    hint = "give a --baseline or budgets, or write a lock with --update"
    nothing = UsageError(f"there is nothing to hold {subject.label} against", hint)
    for kind in sorted(kinds):
        if not possible[kind] and (asked or set_by_hand.get(kind)):
            identify(subject.candidate.model)  # a name that is spelt wrong is told first
            if kind == "budget":
                raise nothing
            raise UsageError(
                f"{subject.label} has no baseline for its {kind}", f"name one, or leave {kind} out: --only"
            )
    if not any(possible[kind] for kind in kinds):
        identify(subject.candidate.model)
        raise nothing
    return {kind for kind in kinds if possible[kind]}


def _run(checkings: Sequence[Checking], run: Run, deadline: float) -> None:
    """The gates that run a model and its baseline, each model's in its share of the time that is left."""
    waiting = [checking for checking in checkings if checking.left & run.stages.keys()]
    for number, checking in enumerate(waiting):
        asked = [kind for kind in run.stages if kind in checking.left]
        alive = sum(not each.failures for each in waiting[number:])  # the others cost nothing more
        ends = time.monotonic() + (deadline - time.monotonic()) / max(alive, 1)
        judged = list(checking.gates)
        try:
            with _readable(checking):
                for kind in asked:
                    part = _ACCURACY if kind != asked[-1] else 1.0
                    left = part * (ends - time.monotonic())
                    known = next(iter(checking.failures), _TOO_LATE if left < _LEAST_S else None)
                    if (failure := known or run.stages[kind](checking, left)) is not None:
                        checking.failed(kind, failure)
                    checking.left.discard(kind)
        except InputError as error:
            checking.gates = judged
            for kind in asked:
                checking.failed(kind, Failure.of(error))


@contextlib.contextmanager
def _readable(checking: Checking) -> Iterator[None]:
    """InputError where a file is no model, or is written to meanwhile: every worker is to read the same."""
    subject = checking.subject
    with contextlib.ExitStack() as stack:
        for side in filter(None, (subject.candidate, subject.baseline)):
            if not checking.failures and identify(side.model).format != "application":
                stack.enter_context(steady(side.model))
        yield


def _cpu_seconds() -> float:
    """What this process and the workers that have ended used."""
    return sum(os.times()[:4])
