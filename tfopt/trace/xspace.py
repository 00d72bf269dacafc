"""Read an XSpace (`*.xplane.pb`, the file of `tf.profiler`) into numpy arrays, one line at a time.

A file of 4 MB holds some 165,000 events; decoding all of them at once takes seven times the file's memory. So a
plane hands out its lines lazily, and decodes the stats of only those events that the caller asks for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from google.protobuf.message import DecodeError

from tfopt.errors import InputError
from tfopt.trace.protos import message, text
from tfopt.trace.sessions import FIRST_BYTES

__all__ = ["EventKind", "Line", "Plane", "Space", "Stats", "read_space"]

Ints = npt.NDArray[np.int64]
Stats = dict[str, Any]

# Times beyond this (13 days, in picoseconds) are no profile's, and sums of them would leave 64 bits.
_FURTHEST_PS = 2**60


@dataclass(frozen=True)
class EventKind:
    """What all events of one kind share: the name and the stats attached to the kind itself."""

    name: str
    stats: Stats = field(default_factory=dict)


@dataclass(frozen=True)
class Line:
    """The events of one thread (or device stream), in file order.

    `kind` indexes `Plane.kinds`; `start` and `end` are picoseconds since the origin of the trace. `stats` holds the
    stats of the events that were asked for, by position; `stat` looks a single one up.
    """

    id: int
    name: str
    kind: Ints
    start: Ints
    end: Ints
    stats: dict[int, Stats]
    _events: Any = ()
    _reader: Callable[[bytes], tuple[str, Any]] = lambda encoded: ("", None)

    def stat(self, position: int, name: str) -> Any:
        """The stat `name` of the event at `position`, None where it has none."""
        return next((value for key, value in map(self._reader, self._events[position].stats) if key == name), None)


@dataclass(frozen=True)
class Plane:
    """One source of events: the host's CPU, a device, or the compiled programs (`/host:metadata`)."""

    name: str
    kinds: dict[int, EventKind]
    stats: Stats
    _lines: tuple[bytes, ...]
    _stat_names: dict[int, str]
    _origin_ns: int = 0

    def lines(self, wants_stats: Callable[[EventKind], bool] = lambda kind: False) -> Iterator[Line]:
        """Decode the lines one after another; `wants_stats` chooses the kinds whose events keep their stats."""
        wanted = {key for key, kind in self.kinds.items() if wants_stats(kind)}
        reader = _StatReader(self._stat_names)
        for encoded in self._lines:
            yield _decode_line(encoded, wanted, reader, self._origin_ns)


@dataclass(frozen=True)
class Space:
    """A whole trace file: its planes, the number of bytes it took, and the profiler's own errors and warnings."""

    planes: tuple[Plane, ...]
    bytes: int
    complaints: tuple[str, ...] = ()

    def plane(self, name: str) -> Plane | None:
        """The plane called `name`, or None."""
        return next((plane for plane in self.planes if plane.name == name), None)


def read_space(path: Path) -> Space:
    """Read the trace at `path`. Raises InputError where it cannot be read or is not a profiler trace."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read the trace {path}: {error.strerror}", "check the path") from error
    try:
        space = message("XSpace").FromString(data)
        origin = _origin_ns(space)
        planes = tuple(_plane(plane, origin) for plane in space.planes)
    except (DecodeError, ValueError, RecursionError) as error:
        raise _unreadable(path, data) from error
    if not any(plane.kinds or plane._lines for plane in planes):
        raise InputError(f"{path} holds no events", "record the trace again, around at least one step")
    return Space(planes, len(data), tuple(map(text, (*space.errors, *space.warnings))))


def _unreadable(path: Path, data: bytes) -> InputError:
    replaced = data.count("\N{REPLACEMENT CHARACTER}".encode())
    if not data.startswith(FIRST_BYTES):
        return InputError(f"{path} is not a profiler trace: it does not begin like one", "give an .xplane.pb file")
    if replaced > len(data) / 1000:
        how = f"{replaced} of its bytes were replaced when it was copied as text"
        return InputError(f"{path} is damaged: {how}", "copy the original again, as a binary file")
    return InputError(
        f"{path} is damaged: its {len(data)} bytes do not decode as a profiler trace",
        "copy it again, or record it again",
    )


def _origin_ns(space: Any) -> int:
    """What times are counted from: 0, but where lines begin at the time of day (since 1970, as some writers have it)
    the first of them, because picoseconds since then do not fit into 64 bits."""
    decode = message("XLineBeginning").FromString
    earliest = min((decode(line).timestamp_ns for plane in space.planes for line in plane.lines), default=0)
    return earliest if earliest * 1000 > _FURTHEST_PS else 0


def _plane(encoded: Any, origin_ns: int) -> Plane:
    stat_names = {entry.key: text(entry.value.name) for entry in encoded.stat_metadata}
    kinds = {
        entry.key: EventKind(
            text(entry.value.name or entry.value.display_name),
            {stat_names.get(stat.metadata_id, ""): _value(stat, stat_names) for stat in entry.value.stats},
        )
        for entry in encoded.event_metadata
    }
    stats = {stat_names.get(stat.metadata_id, ""): _value(stat, stat_names) for stat in encoded.stats}
    return Plane(text(encoded.name), kinds, stats, tuple(encoded.lines), stat_names, origin_ns)


def _decode_line(encoded: bytes, wanted: set[int], reader: _StatReader, origin_ns: int) -> Line:
    try:
        line = message("XLine").FromString(encoded)
        rows = [(event.metadata_id, event.offset_ps, event.duration_ps) for event in line.events]
        stats: dict[int, Stats] = {}
        if wanted:
            for position, event in enumerate(line.events):
                if event.metadata_id in wanted:
                    stats[position] = dict(map(reader, event.stats))
    except (DecodeError, ValueError) as error:
        raise InputError("the trace is damaged: a line of events cannot be decoded", "record it again") from error
    name, begin = text(line.name or line.display_name), (line.timestamp_ns - origin_ns) * 1000
    table = np.array(rows, dtype=np.int64).reshape(-1, 3)
    _check_times(name, begin, table[:, 1], table[:, 2])
    start = table[:, 1] + begin
    return Line(line.id, name, table[:, 0].copy(), start, start + table[:, 2], stats, line.events, reader)


def _check_times(name: str, begin: int, offset: Ints, duration: Ints) -> None:
    if len(duration) and duration.min() < 0:
        what = "an event ends before it begins"
    elif max(abs(begin), *(abs(edge) for times in (offset, duration) for edge in _extremes(times))) > _FURTHEST_PS:
        what = "its times are days apart"
    else:
        return
    raise InputError(f"the trace is damaged: {what} (line {name!r:.80})", "copy it again, or record it again")


def _extremes(times: Ints) -> tuple[int, int]:
    return (int(times.min()), int(times.max())) if len(times) else (0, 0)


class _StatReader:
    """From an encoded stat to its name and value; each encoding is decoded once, since events repeat the same few."""

    def __init__(self, stat_names: dict[int, str]) -> None:
        self._stat_names = stat_names
        self._decode = message("XStat").FromString
        self._known: dict[bytes, tuple[str, Any]] = {}

    def __call__(self, encoded: bytes) -> tuple[str, Any]:
        pair = self._known.get(encoded)
        if pair is None:
            stat = self._decode(encoded)
            pair = self._known[encoded] = (self._stat_names.get(stat.metadata_id, ""), _value(stat, self._stat_names))
        return pair


_STAT_FIELDS = ("uint64_value", "int64_value", "double_value", "bytes_value")


def _value(stat: Any, stat_names: dict[int, str]) -> Any:
    if stat.HasField("ref_value"):
        return stat_names.get(stat.ref_value, "")
    if stat.HasField("str_value"):
        return text(stat.str_value)
    return next((getattr(stat, field) for field in _STAT_FIELDS if stat.HasField(field)), None)
