"""Which rows of two runs are the same thing. Pure bookkeeping: every row given comes back exactly once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from operator import attrgetter
from typing import NamedTuple, TypeVar

from tfopt.records.difference import Match, Presence
from tfopt.records.profile import OpRow

__all__ = ["OpPair", "pair_ops", "pairs", "presence"]

Row = TypeVar("Row")
Key = TypeVar("Key", bound=Hashable)


class OpPair(NamedTuple):
    """Ops of the baseline and of the run that belong together, and by what."""

    match: Match
    before: list[OpRow]
    after: list[OpRow]


def pairs(
    before: Iterable[Row], after: Iterable[Row], key: Callable[[Row], Key]
) -> Iterator[tuple[Key, list[Row], list[Row]]]:
    """The rows of both sides with the same key, either list empty where only one side has it."""
    found: defaultdict[Key, tuple[list[Row], list[Row]]] = defaultdict(lambda: ([], []))
    for side, rows in enumerate((before, after)):
        for row in rows:
            found[key(row)][side].append(row)
    for shared, (first, second) in found.items():
        yield shared, first, second


def presence(before: Sequence[object], after: Sequence[object]) -> Presence:
    """Where the rows of a pair are: in both runs, or `new` in the second, or `gone` from the first."""
    return "both" if before and after else "gone" if before else "new"


# From the surest to the loosest, always within a layer and phase. Names hold between runs of one program; another
# version, or a second trace in one process, renumbers some (`adam_1/…`); XLA runs other ops for the same layers.
_SURENESS: tuple[tuple[Match, tuple[str, ...]], ...] = (
    ("name", ("layer", "phase", "type", "name")),
    ("type", ("layer", "phase", "type")),
    ("place", ("layer", "phase")),
)


def pair_ops(before: Iterable[OpRow], after: Iterable[OpRow]) -> Iterator[OpPair]:
    """Each op with its likeness in the other run; what has none comes last, one by one."""
    for match, fields in _SURENESS:
        alone: tuple[list[OpRow], list[OpRow]] = ([], [])
        for _, first, second in pairs(before, after, attrgetter(*fields)):
            if first and second:
                yield OpPair(match, first, second)
            else:
                alone[0].extend(first)
                alone[1].extend(second)
        before, after = alone
    yield from (OpPair("none", [op], []) for op in before)
    yield from (OpPair("none", [], [op]) for op in after)
