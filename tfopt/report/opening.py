"""Whatever can be shown: a run of tfopt, a record of its own, or a trace that somebody else recorded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tfopt.records.base import Record
from tfopt.report.runs import holds_run, is_run, missing, read_any_record, read_run, unreadable
from tfopt.trace.sessions import holds_trace, looks_like_trace

__all__ = ["Opened", "open_target"]


@dataclass(frozen=True)
class Opened:
    """A record, where it came from, and its run folder (None where it is not in one)."""

    record: Record
    origin: str
    folder: str | None


def open_target(target: str | Path, besides: str | None = None) -> Opened:
    """The record at `target`, judged by content: a run folder, a folder of runs (the latest whose record is not
    `besides`), a record's file, a trace's file, or a log folder. InputError where it is none of these."""
    path = Path(target)
    try:
        return _opened(path, Path(besides) if besides else None)
    except OSError as error:
        raise unreadable(path, error) from error


def _opened(path: Path, besides: Path | None) -> Opened:
    if not path.exists():
        raise missing(path)
    if looks_like_trace(path) if path.is_file() else holds_trace(path) and not holds_run(path):
        from tfopt.trace.summary import read_trace  # numpy and protobuf, which a run's record does not need

        trace = read_trace(path)
        return Opened(trace, ", ".join(trace.source.files), None)
    if path.is_file():
        return Opened(read_any_record(path), str(path), str(path.parent) if is_run(path) else None)
    run = read_run(path, besides)
    return Opened(run.record, str(run.file), run.folder)
