"""`tfopt.doctor`: all checks of this environment, or of a folder of runs."""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

import tfopt
from tfopt.diagnosis import gpu, machine, packages, tensorboard, tensorflow, variables
from tfopt.diagnosis.finding import unknown
from tfopt.diagnosis.layout import layout, placement
from tfopt.diagnosis.sessions import sessions
from tfopt.diagnosis.trial import Report, report, trying
from tfopt.errors import InputError, TfoptError
from tfopt.records.diagnosis import DiagnosisRecord, Finding
from tfopt.report import serving
from tfopt.report.progress import ProgressCallback, silent
from tfopt.report.runs import is_run, missing, unreadable
from tfopt.scratch import temporary_folder
from tfopt.trace.sessions import looks_like_trace

__all__ = ["doctor"]


def doctor(runs: str | os.PathLike[str] | None = None, *, progress: ProgressCallback = silent) -> DiagnosisRecord:
    """What is wrong here, and what mends it: with this environment, or, where `runs` names a folder of runs, a log
    folder or a trace, with these: would TensorBoard show them?

    TensorFlow and TensorBoard run in processes of their own, so that a broken installation is a finding. Nothing is
    written outside of a temporary folder. Raises InputError where `runs` cannot be read or has nothing to do with
    profiles.
    """
    started_at = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    command = ""
    if runs is None:
        findings = tuple(_environment(progress))
    else:
        progress("reading traces", None)
        findings, command = _runs(Path(runs))
    return DiagnosisRecord(
        target=None if runs is None else str(Path(runs)),
        findings=findings,
        started_at=started_at,
        tfopt=tfopt.__version__,
        command=command,
    )


def _environment(progress: ProgressCallback) -> Iterator[Finding]:
    """TensorFlow and TensorBoard start first: they take the longest, and side by side."""
    with ExitStack() as stack:
        folder = stack.enter_context(temporary_folder())
        trial = stack.enter_context(trying(folder))
        server = _server(stack, str(folder))
        progress("looking at packages and the machine", None)
        yield from _tried("packages", packages.examine())
        yield from _tried("variables", variables.examine())
        yield from _tried("machine", machine.examine())
        progress("trying TensorFlow in a process of its own", None)
        found = report(trial)
        yield from _tried("tensorflow", tensorflow.examine(found))
        yield from _tried("gpu", gpu.examine(found))
        progress("asking TensorBoard for the trial's trace", None)
        yield from _tried("tensorboard", _served(server, found))


def _tried(family: str, findings: Iterable[Finding]) -> Iterator[Finding]:
    """`findings`; whatever keeps a check from its work must not keep the others from theirs."""
    try:
        yield from findings
    except Exception as error:
        yield unknown(f"{family}.checks", f"the checks ended: {type(error).__name__}: {error}")


def _server(stack: ExitStack, folder: str) -> serving.Server | TfoptError:
    try:
        port = serving.free_port("127.0.0.1", 0)
        return stack.enter_context(serving.tensorboard(folder, "127.0.0.1", port, noisy=False, temporary=folder))
    except TfoptError as error:
        return error


def _served(server: serving.Server | TfoptError, report: Report) -> Iterator[Finding]:
    traced = report.found("trace") is not None
    if isinstance(server, TfoptError):
        yield from tensorboard.serves(tensorboard.Served(traced, error=server.message))
    else:
        yield from tensorboard.serves(tensorboard.ask(server, traced=traced))


def _runs(target: Path) -> tuple[tuple[Finding, ...], str]:
    """Findings, and the line that shows the traces in TensorBoard ('' where none does)."""
    try:
        if not target.exists():
            raise missing(target)
        if target.is_dir():
            os.listdir(target)
        found = layout(target.parent if is_run(target) else target)
        if target.is_file() and not is_run(target) and not looks_like_trace(target):
            raise InputError(f"{target} is no trace", "name a run folder, a log folder or an .xplane.pb file")
        return (*placement(found), *sessions(found.traces)), found.logdir
    except OSError as error:
        raise unreadable(target, error) from error
