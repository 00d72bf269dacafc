"""Changes as rows and phrases: what the differences of runs and of traces share."""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum
from pathlib import PurePath
from typing import NamedTuple

from tfopt.records.difference import Change, Presence
from tfopt.report import units
from tfopt.report.page import Column, Table, Value

__all__ = ["Line", "arrow", "changes_table", "name_of", "present", "verdict"]

_TIMES = (
    Column("before_ms", "before", "ms"),
    Column("after_ms", "after", "ms"),
    Column("change_ms", "change", "change_ms"),
    Column("ratio", "ratio", "ratio", drop=4),
    Column("share_change", "in share", "change_share", drop=2),
)


class Line(NamedTuple):
    """A row: its words, its time, and what stands beyond the time."""

    words: tuple[Value, ...]
    time: Change
    beyond: tuple[Value, ...] = ()


def changes_table(
    whole: Change,
    title: str,
    by: str,
    words: Sequence[Column],
    lines: Sequence[Line],
    top: int,
    beyond: Sequence[Column] = (),
) -> Table:
    """`lines` under the columns `words`, those of the times and those `beyond`: the first `top` of them (0: all) and
    the sum of the rest. Shares are those of `whole`."""
    shown, hidden = lines[: top or None], [line.time for line in lines[top or len(lines) :]]
    label = (f"{len(hidden):,} more", *[None] * (len(words) - 1))
    rest = Change.between(fsum(time.before_ms for time in hidden), fsum(time.after_ms for time in hidden))
    return Table(
        title=f"{title}, ms",
        by=by,
        columns=(*words, *_TIMES, *beyond),
        rows=tuple((*line.words, *_cells(line.time, whole), *line.beyond) for line in shown),
        rest=((*label, *_cells(rest, whole), *[None] * len(beyond)),) if hidden else (),
    )


def _cells(time: Change, whole: Change) -> tuple[Value, ...]:
    known = whole.before_ms and whole.after_ms
    share = time.after_ms / whole.after_ms - time.before_ms / whole.before_ms if known else None
    return time.before_ms, time.after_ms, time.change_ms, time.ratio, share


def arrow(change: Change) -> str:
    """`5.47 ms → 5.90 ms`."""
    return f"{units.duration(change.before_ms)} → {units.duration(change.after_ms)}"


def verdict(change: Change, more: str = "slower", less: str = "faster") -> str:
    """`0.44 ms (8.0 %) slower`: what the run is, beside the baseline."""
    if not change.change_ms:
        return f"neither {more} nor {less}"
    relative = "" if change.ratio is None else f" ({units.percent(abs(change.ratio - 1))})"
    return f"{units.duration(abs(change.change_ms))}{relative} {more if change.change_ms > 0 else less}"


def name_of(path: str) -> str:
    """The last part of a path, for a title."""
    return PurePath(path).name or path


def present(presence: Presence) -> str:
    """A word for what only one side has."""
    return "" if presence == "both" else presence
