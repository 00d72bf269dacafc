"""Two things that can be shown, as the difference between them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import overload

from tfopt.errors import TfoptError, UsageError
from tfopt.records.base import Record
from tfopt.records.difference import DifferenceRecord
from tfopt.records.profile import ProfileRecord
from tfopt.records.trace import TraceRecord
from tfopt.records.trace_difference import TraceDifferenceRecord
from tfopt.report.difference import diff_runs
from tfopt.report.opening import Opened, open_target
from tfopt.report.trace_difference import diff_traces

__all__ = ["diff", "open_difference"]


@overload
def diff(record: ProfileRecord, against: ProfileRecord, run: str = "", baseline: str = "") -> DifferenceRecord: ...


@overload
def diff(record: TraceRecord, against: TraceRecord, run: str = "", baseline: str = "") -> TraceDifferenceRecord: ...


@overload
def diff(record: Record, against: Record, run: str = "", baseline: str = "") -> Record: ...


def diff(record: Record, against: Record, run: str = "", baseline: str = "") -> Record:
    """How `record` differs from the baseline `against`, both profiled runs or both traces: record − against, in ms.

    `run` and `baseline` are what the two runs are called (default: the run folders that they were recorded in).
    UsageError where the two are not of a kind.
    """
    match record, against:
        case ProfileRecord(), ProfileRecord():
            return diff_runs(record, against, run, baseline)
        case TraceRecord(), TraceRecord():
            return diff_traces(record, against)
    raise UsageError(
        f"cannot compare {run or 'one'} with {baseline or 'the other'}: they are not two profiles or two traces",
        "name two runs of tfopt profile, or two bare traces",
    )


def open_difference(target: str, against: str) -> Opened:
    """The difference of what lies at `target` and its baseline `against`; of a folder of runs the latest other one.

    InputError says which side cannot be read, UsageError where the two are not of a kind.
    """
    with _said_of("the run"):
        after = open_target(target)
    with _said_of("the baseline"):
        before = open_target(against, besides=after.origin)
    names = (opened.folder or opened.origin for opened in (after, before))
    return Opened(diff(after.record, before.record, *names), f"{after.origin} against {before.origin}", None)


@contextmanager
def _said_of(side: str) -> Iterator[None]:
    try:
        yield
    except TfoptError as error:
        raise type(error)(f"{side}: {error.message}", error.hint) from error
