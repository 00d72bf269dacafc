"""Two things that can be shown, as the difference between them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tfopt.errors import TfoptError, UsageError
from tfopt.records.difference import DifferenceRecord
from tfopt.records.profile import ProfileRecord
from tfopt.records.trace import TraceRecord
from tfopt.records.trace_difference import TraceDifferenceRecord
from tfopt.report.difference import diff
from tfopt.report.opening import Opened, open_target
from tfopt.report.trace_difference import diff_traces

__all__ = ["open_difference"]


def open_difference(target: str, against: str) -> Opened:
    """The difference of what lies at `target` and its baseline `against`; of a folder of runs the latest other one.

    InputError says which side cannot be read, UsageError where the two are not of a kind.
    """
    with _said_of("the run"):
        after = open_target(target)
    with _said_of("the baseline"):
        before = open_target(against, besides=after.origin)
    return Opened(_difference(after, before), f"{after.origin} against {before.origin}", None)


def _difference(after: Opened, before: Opened) -> DifferenceRecord | TraceDifferenceRecord:
    match after.record, before.record:
        case ProfileRecord() as run, ProfileRecord() as baseline:
            return diff(run, baseline, after.folder or after.origin, before.folder or before.origin)
        case TraceRecord() as trace, TraceRecord() as baseline:
            return diff_traces(trace, baseline)
    raise UsageError(
        f"cannot compare {after.origin} with {before.origin}: one is a profile, the other a bare trace",
        "name two runs of tfopt profile, or two traces",
    )


@contextmanager
def _said_of(side: str) -> Iterator[None]:
    try:
        yield
    except TfoptError as error:
        raise type(error)(f"{side}: {error.message}", error.hint) from error
