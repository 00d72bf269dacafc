"""The sessions of a folder, read with our own reader: what TensorBoard would show of each, and what it could not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tfopt.diagnosis.finding import note, ok, problem, unknown
from tfopt.diagnosis.layout import host_of, log_folder, quoted
from tfopt.errors import InputError
from tfopt.records.diagnosis import Finding
from tfopt.records.profile import ProfileRecord
from tfopt.records.trace import TraceRecord
from tfopt.report import units
from tfopt.report.runs import RECORD_NAME, read_record
from tfopt.wording import counted

__all__ = ["CHECKS", "Seen", "sessions"]

_READ = 8  # the latest; all would take minutes where hundreds lie
_LARGEST = 2**31  # bytes of a message that protobuf reads
# openxla/xla's xplane_to_trace_events.cc, kMaxEvents: TF_PROFILER_TRACE_VIEWER_MAX_EVENTS raises it.
_VIEWER_EVENTS = 1_000_000


@dataclass(frozen=True)
class Seen:
    """One host's trace of a session that was read: its file, what is in it, and the run's record, if tfopt made it."""

    file: Path
    trace: TraceRecord
    run: ProfileRecord | None = None

    @property
    def name(self) -> str:
        """Session and file."""
        return f"{self.file.parent.name}/{self.file.name}"


def sessions(files: Sequence[Path]) -> Iterator[Finding]:
    """All findings about the contents of these traces, as far as they are read."""
    for file in files[:_READ]:
        yield from _session(file)
    if len(files) > _READ:
        yield unknown("trace.others", f"{len(files) - _READ} older traces were not read", "name their folder")


def _session(file: Path) -> Iterator[Finding]:
    run, complaint = _run(file)
    if complaint is not None:
        yield complaint
    size = file.stat().st_size
    if size >= _LARGEST:
        what = f"{file} has {units.size(size)}: traces of 2 GiB and more cannot be read"
        yield problem("trace.readable", what, "record fewer steps: tfopt profile MODEL --trace-steps 2")
        return
    try:
        from tfopt.trace.summary import read_trace

        seen = Seen(file, read_trace(file), run)
    except InputError as error:
        yield problem("trace.readable", error.message, error.hint)
        return
    except ImportError as error:
        yield unknown("trace.readable", f"{file} could not be read: {error}", "tfopt doctor")
        return
    for check in CHECKS:
        yield from check(seen)


def _run(trace: Path) -> tuple[ProfileRecord | None, Finding | None]:
    root = log_folder(trace)
    file = None if root is None else root / RECORD_NAME
    if file is None or not file.exists():
        return None, None
    try:
        return read_record(file), None
    except InputError as error:
        return None, problem("trace.record", f"tfopt report cannot show this run: {error.message}", error.hint)


def summary(seen: Seen) -> Iterator[Finding]:
    """What is there to be shown."""
    trace = seen.trace
    steps = f", {trace.steps.count} steps" if trace.steps else ""
    ran = counted(len(trace.devices), "device") if trace.where == "device" else f"{len(trace.ops)} ops on the host"
    size = units.size(trace.source.bytes)
    yield ok("trace.readable", f"{seen.name}: {trace.source.events} events ({size}), {ran}{steps}")


def steps(seen: Seen) -> Iterator[Finding]:
    """Pages of TensorBoard that are by step stay empty: "No step marker observed"."""
    if seen.trace.steps is None:
        yield note(
            "trace.steps",
            f"{seen.name} marks no steps: TensorBoard says “No step marker observed”, and step times are unknown",
            "record each step inside tf.profiler.experimental.Trace('train', step_num=i, _r=1); tfopt profile does",
        )


def devices(seen: Seen) -> Iterator[Finding]:
    """Pages about devices stay empty where none was recorded, as is right for a run on the CPU."""
    if seen.trace.where == "device":
        return
    what = f"{seen.name} has no device plane: TensorBoard's pages about devices stay empty"
    if seen.run is not None and "cpu" in seen.run.run.device.lower():
        yield ok("trace.devices", f"{what}, as for every run on the CPU")
    else:
        yield note("trace.devices", what, f"tfopt report {quoted(seen.file)} # shows what ran on the host")


def names(seen: Seen) -> Iterator[Finding]:
    """TensorBoard leaves out a file whose name tells no host, and splits lists of hosts at commas
    (`ProfilePlugin._get_valid_hosts` of xprof)."""
    file, host = seen.file, host_of(seen.file)
    if not host:
        mend = f"mv {quoted(file)} {quoted(file.with_name('host.xplane.pb'))}"
        yield problem("trace.host", f"{seen.name} names no host: TensorBoard leaves it out", mend)
    elif "," in host:
        mend = f"mv {quoted(file)} {quoted(file.with_name(file.name.replace(',', '-')))}"
        yield note("trace.host", f"TensorBoard takes the host of {seen.name} for several, because of its commas", mend)


def viewer(seen: Seen) -> Iterator[Finding]:
    """The trace viewer's limit."""
    events = seen.trace.source.events
    if events > _VIEWER_EVENTS:
        yield note(
            "trace.events",
            f"{seen.name} has {units.count(events)} events: the trace viewer stops at {units.count(_VIEWER_EVENTS)}",
            f"record fewer steps, or export TF_PROFILER_TRACE_VIEWER_MAX_EVENTS={events}",
        )


CHECKS: tuple[Callable[[Seen], Iterator[Finding]], ...] = (summary, steps, devices, names, viewer)
