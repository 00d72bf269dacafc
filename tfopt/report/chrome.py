"""The timeline of the traced steps for chrome://tracing and ui.perfetto.dev: the Trace Event Format.

Every op event that reaches into a step is one complete event on the track of its thread, with its layer and phase
from the record. Events of a track nest or follow one another, as both readers demand: work that an XLA thunk leaves
running beside its thread has tracks of its own. Times are whole nanoseconds since the first step began.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tfopt.errors import InputError
from tfopt.records.profile import OpRow, ProfileRecord
from tfopt.report.json import compact
from tfopt.report.summary import subject
from tfopt.report.view import View
from tfopt.trace.attribution import attribute
from tfopt.trace.graph import Graph
from tfopt.trace.recording import Op, Recording
from tfopt.trace.recording import record as read_recording
from tfopt.trace.scopes import UNATTRIBUTED, ScopeTable
from tfopt.trace.xspace import Ints, read_space

__all__ = ["render"]

_AGAIN = "profile the model again, without --no-save"


def render(record: ProfileRecord, view: View) -> str:
    """The traced steps of `record`; of the view only the run folder counts.

    Raises InputError where the trace was not kept, is gone, or is not the one that the record was made from.
    """
    folder = view.run_dir or record.trace.run_dir
    if folder is None or record.trace.file is None:
        raise InputError("this run kept no trace, which is what a Chrome trace shows", _AGAIN)
    file = Path(folder) / record.trace.file
    if not file.is_file():
        raise InputError(f"the trace {file} is gone", _AGAIN)
    space = read_space(file)
    recording = read_recording(space)
    if (space.bytes, recording.events) != (record.trace.bytes, record.trace.events):
        raise InputError(f"the trace {file} is not the one that the record was made from", _AGAIN)
    about = {"model": subject(record.model)[0], "command": record.run.command, "started_at": record.run.started_at}
    head = compact({"displayTimeUnit": "ms", "otherData": about}).decode("utf-8")
    return head[:-1] + ',"traceEvents":[\n' + ",\n".join(_events(recording, record)) + "\n]}\n"


def _events(recording: Recording, record: ProfileRecord) -> Iterator[str]:
    origin = recording.steps[0, 0]
    yield _named("process_name", 0, subject(record.model)[0])
    yield _named("thread_name", 0, "steps")
    for number, (start, end) in enumerate(_nanoseconds(recording.steps - origin).tolist()):
        yield _complete(0, start, end, _text({"name": f"step {number}", "cat": "step"}))
    shown = _inside(recording)
    tracks, names = _tracks(recording, shown)
    for track, name in sorted(names.items()):
        yield _named("thread_name", track, name)
    labels = _labels(recording, record, np.unique(recording.op[shown]).tolist())
    starts, ends = (_nanoseconds(times[shown] - origin).tolist() for times in (recording.start, recording.end))
    for op, track, start, end in zip(recording.op[shown].tolist(), tracks.tolist(), starts, ends, strict=True):
        if op in labels:
            yield _complete(track, start, end, labels[op])


def _nanoseconds(picoseconds: Ints) -> Ints:
    """Rounded down: whatever nested before does so afterwards."""
    return picoseconds // 1000


def _inside(recording: Recording) -> Ints:
    """The events that reach into a step, in the order of their starts."""
    step = np.searchsorted(recording.steps[:, 1], recording.start, side="right")
    begins = np.append(recording.steps[:, 0], np.iinfo(np.int64).max)
    shown = np.flatnonzero((begins[step] < recording.end) & (recording.counted | ~recording.executor))
    return shown[np.argsort(recording.start[shown], kind="stable")]


def _tracks(recording: Recording, shown: Ints) -> tuple[Ints, dict[int, str]]:
    """The track of each event that is shown, and the names of the tracks; track 0 is that of the steps.

    Work beside the threads takes the first track that is free when it starts.
    """
    tracks = recording.thread[shown] + 1
    names = {int(track): recording.threads[track - 1] for track in np.unique(tracks[tracks > 0])}
    first = len(recording.threads) + 1
    busy: list[tuple[int, int]] = []  # (until, track)
    for position in np.flatnonzero(tracks <= 0).tolist():
        event = shown[position]
        free = busy and busy[0][0] <= recording.start[event]
        track = heapq.heappop(busy)[1] if free else first + len(busy)
        heapq.heappush(busy, (int(recording.end[event]), track))
        tracks[position] = track
        names[track] = f"asynchronous work {track - first + 1}"
    return tracks, names


def _labels(recording: Recording, record: ProfileRecord, shown: list[int]) -> dict[int, str]:
    """What the events of each op shown say, as the inside of a JSON object."""
    rows = {row.instruction or ("", row.name): row for row in record.ops}  # what ran no kernel has no type
    rows |= {row.instruction or (row.type, row.name): row for row in record.ops}
    layers = {str(number): row.path for number, row in enumerate(record.layers)}
    found = ((number, _label(recording.ops[number], rows, layers)) for number in shown)
    return {number: _text(label) for number, label in found if label}


def _label(op: Op, rows: Mapping[Any, OpRow], layers: Mapping[str, str]) -> dict[str, Any] | None:
    """None for what belongs to nobody: the executor passed over it without a kernel, and it is in no layer."""
    if op.kind in ("eager", "marker"):  # their names do not tell them apart, but what they ran inside of does
        (found,) = attribute((op,), ScopeTable(), Graph({}), {}, layers.get)
        place, name, type_, source = found.charges[0].place, found.name, found.type, found.source
        layer, phase = place.layer or UNATTRIBUTED, place.phase
    elif (row := rows.get(op.instruction or (op.type, op.name))) is not None:
        name, type_, layer, phase, source = row.name, row.type, row.layer, row.phase, row.source
    elif not op.type and op.kind == "tf":
        return None
    else:
        name, type_, layer, phase, source = op.name, op.type, UNATTRIBUTED, "unattributed", "none"
    return {"name": name, "cat": phase, "args": {"layer": layer, "phase": phase, "type": type_, "source": source}}


def _text(fields: dict[str, Any]) -> str:
    return compact(fields).decode("utf-8")[1:-1]


def _named(what: str, track: int, name: str) -> str:
    return compact({"ph": "M", "pid": 1, "tid": track, "name": what, "args": {"name": name}}).decode("utf-8")


def _complete(track: int, start: int, end: int, label: str) -> str:
    return f'{{"ph":"X","pid":1,"tid":{track},"ts":{_micro(start)},"dur":{_micro(end - start)},{label}}}'


def _micro(nanoseconds: int) -> str:
    whole, rest = divmod(abs(nanoseconds), 1000)
    return f"{'-' if nanoseconds < 0 else ''}{whole}.{rest:03d}"
