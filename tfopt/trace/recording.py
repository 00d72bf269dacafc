"""What ran: the ops, steps and markers of a trace, as flat arrays ready for the timeline.

Three kinds of op events exist on a host:
- graph mode: events called `NAME:TYPE` on the executor's threads;
- XLA: one event per thunk with the stats `hlo_op` and `program_id`. A thunk may return at once while its work goes
  on: its stat `_p` then meets the stat `_c` of an event `end: HLO_OP`, and the work lasts until there;
- eager: `EagerLocalExecute: TYPE`, without a name; the marker around it says which layer ran.

Markers are events that tfopt itself records (`tfopt:KIND:VALUE`); steps are events with the stat `step_num`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from tfopt.errors import InputError
from tfopt.trace.dispatch import KERNEL_NAME, ExecutorKinds, dispatch
from tfopt.trace.intervals import Mask
from tfopt.trace.xspace import EventKind, Ints, Line, Plane, Space, Stats

__all__ = ["MARKER", "Op", "Recording", "marker_name", "record"]

MARKER = "tfopt:"
_TF_OP = re.compile(r"^([A-Za-z0-9.][A-Za-z0-9_.\\/>\- ]*):([A-Za-z_][A-Za-z0-9_]*)$")
_EAGER = "EagerLocalExecute: "
_ASYNC_END = "end: "
# A whole compiled function shows up as an op of its own around the ops inside it.
_FUNCTION = re.compile(r"^(__inference_|__forward_|__backward_)")
# Handing a function's arguments and results over is the executor's work, not an op's.
_PLUMBING = frozenset({"_Arg", "_Retval"})
# Thunks that only run other thunks: of their asynchronous tail they have what these leave.
_CONTROL = re.compile(r"^(while|conditional|call)([._]\d+)*$")
# Threads of tf.data: they prepare later batches beside the step; what the step waits for is in the marker.
_PIPELINE = "tf_data"
_WAITING = f"{MARKER}phase:input"
# Layers in layers; each op of eager mode keeps the markers around it.
_DEEPEST_MARKERS = 1000
_AGAIN = "copy it again, or record it again"


@dataclass(frozen=True)
class Op:
    """One distinct op: `name` is its node or instruction, `type` its op type: '' where no kernel ran, and under XLA
    until the HLO is read.

    `program` is the id of the XLA program that holds it. `markers` are the open markers, outermost first (eager mode
    only: elsewhere the name tells the layer).
    """

    kind: Literal["tf", "hlo", "eager", "marker"]
    name: str
    type: str
    program: int | None = None
    markers: tuple[str, ...] = ()

    @property
    def instruction(self) -> str:
        """`PROGRAM:INSTRUCTION` under XLA, where names of ops may repeat; '' elsewhere."""
        return f"{self.program}:{self.name}" if self.kind == "hlo" else ""


@dataclass(frozen=True)
class Recording:
    """All op events of a trace. `op`, `thread`, `start` and `end` (ps) have one entry per event.

    `thread` indexes `threads`, their names; where work goes on after its thunk has returned it is negative, each time
    another. `counted` is false for what continues an event: asynchronous work of a thunk, the executor's work for an
    op that is shown too; `executor` marks the executor's work. Beside its thread (a loop under XLA, whose thunk returns
    at once) it has only the instants in which nothing else ran. `steps` has one row (start, end) per step, in order;
    `events` counts every event on the host. `step_name` is None where nothing marks a step and the whole recorded span
    stands for one.
    """

    ops: tuple[Op, ...]
    op: Ints
    thread: Ints
    start: Ints
    end: Ints
    counted: Mask
    executor: Mask
    steps: Ints
    events: int
    threads: tuple[str, ...]
    step_name: str | None = None

    @property
    def waits(self) -> Mask:
        """Which of the ops are waiting for data."""
        return np.array([op.kind == "marker" for op in self.ops], dtype=bool)


def marker_name(kind: str, value: object) -> str:
    """The name of a marker event, such as `tfopt:layer:12`."""
    return f"{MARKER}{kind}:{value}"


def record(space: Space, step_name: str | None = "train") -> Recording:
    """The ops and steps on the host plane. Raises InputError where the trace has no steps called `step_name`.

    With None any name will do, the most frequent one counts; where there are no steps, all that was recorded is one.
    """
    host = space.plane("/host:CPU")
    if host is None:
        raise InputError("the trace has no host plane", "record it again with host tracing on")
    builder = _Builder(host)
    for line in host.lines(_wants_stats):
        builder.add(line)
    return builder.finish(step_name)


def _wants_stats(kind: EventKind) -> bool:
    name = kind.name
    return not ("::" in name or name.startswith(("Memory", "Executor", _EAGER)) or _TF_OP.match(name))


@dataclass
class _Builder:
    plane: Plane
    events: int = 0
    threads: list[str] = field(default_factory=list)
    index: dict[Op, int] = field(default_factory=dict)
    columns: list[tuple[Any, ...]] = field(default_factory=list)
    steps: dict[str, list[tuple[int, int, int]]] = field(default_factory=dict)
    ends: dict[tuple[int, str], int] = field(default_factory=dict)
    launched: list[tuple[tuple[int, str], int, int, bool]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.static = {key: op for key, kind in self.plane.kinds.items() if (op := _static_op(kind.name))}
        self.graph_ops = {key: self.number(op) for key, op in self.static.items() if op.kind == "tf"}
        self.executor = ExecutorKinds.among(self.plane.kinds)
        self.unseen: set[int] = set()
        self.by_name = {op.name: number for op, number in self.index.items()}

    def number(self, op: Op) -> int:
        return self.index.setdefault(op, len(self.index))

    def add(self, line: Line) -> None:
        thread = len(self.threads)
        self.threads.append(line.name)
        self.events += len(line.kind)
        if line.name.startswith(_PIPELINE):
            return
        kinds, position_of = np.unique(line.kind, return_inverse=True)
        ops = np.array([self.graph_ops.get(int(key), -1) for key in kinds], dtype=np.int64)[position_of]
        for position, stats in line.stats.items():
            if not stats:
                continue
            start, end = int(line.start[position]), int(line.end[position])
            name = self.plane.kinds[int(line.kind[position])].name
            if name.startswith(_ASYNC_END):
                self.ends[(stats.get("_c", 0), name[len(_ASYNC_END) :])] = start
            elif "hlo_op" in stats:
                ops[position] = self.thunk(stats, end)
            elif isinstance(stats.get("step_num"), int):
                self.steps.setdefault(name, []).append((stats["step_num"], start, end))
        if any((op := self.static.get(int(key))) is not None and op.kind != "tf" for key in kinds):
            self.add_eager(line, ops)
        keep = (ops >= 0) & (line.end > line.start)
        self.append(ops[keep], thread, line.start[keep], line.end[keep], counted=keep[keep], executor=~keep[keep])
        self.add_dispatch(thread, line, ops)

    def append(self, ops: Ints, thread: int, start: Ints, end: Ints, *, counted: Mask, executor: Mask) -> None:
        self.columns.append((ops, np.full(len(ops), thread, dtype=np.int64), start, end, counted, executor))

    def add_dispatch(self, thread: int, line: Line, ops: Ints) -> None:
        """What the executor did for an op is the op's; what never shows as an op has no other event."""
        found = dispatch(line, self.executor, (ops >= 0) & (line.end > line.start))
        if not len(found.owner):
            return
        owners = ops[found.owner]
        unnamed = np.unique(found.owner[owners < 0])
        names = {int(at): self.named(line.stat(int(at), KERNEL_NAME)) for at in unnamed}
        only = owners < 0
        owners[only] = [names[int(at)] for at in found.owner[only]]
        keep = owners >= 0
        pieces = (owners[keep], thread, found.start[keep], found.end[keep])
        unseen = np.isin(owners[keep], list(self.unseen))
        self.append(*pieces, counted=only[keep] & unseen, executor=keep[keep])

    def named(self, kernel: Any) -> int:
        """The number of the op called `kernel`, as it is shown elsewhere or with no type; -1 for functions."""
        name = str(kernel or "")
        if not name or _FUNCTION.match(name):
            return -1
        number = self.by_name.get(name)
        if number is None:
            number = self.number(Op("tf", name, ""))
            self.unseen.add(number)
        return number

    def thunk(self, stats: Stats, end: int) -> int:
        name = str(stats["hlo_op"])
        number = self.number(Op("hlo", name, "", _number(stats, "program_id")))
        if "_p" in stats:
            self.launched.append(((stats["_p"], name), number, end, _CONTROL.match(name) is not None))
        return number

    def add_eager(self, line: Line, ops: Ints) -> None:
        """Give every eager op of a thread the markers that are open around it."""
        order = np.lexsort((-line.end, line.start))
        open_markers: list[tuple[int, str]] = []
        for position in order:
            op = self.static.get(int(line.kind[position]))
            if op is None or op.kind == "tf":
                continue
            start, end = int(line.start[position]), int(line.end[position])
            while open_markers and open_markers[-1][0] <= start:
                open_markers.pop()
            if op.kind == "marker":
                open_markers.append((end, op.name))
                if len(open_markers) > _DEEPEST_MARKERS:
                    raise InputError(f"the trace is damaged: {len(open_markers)} markers lie in each other", _AGAIN)
                if op.name == _WAITING:
                    ops[position] = self.number(op)
            else:
                context = tuple(name for _, name in open_markers)
                if _WAITING in context:  # part of the wait
                    continue
                ops[position] = self.number(Op("eager", op.name, op.type, markers=context))

    def finish(self, step_name: str | None) -> Recording:
        tails = [
            (number, -1 - position, end, self.ends[key], 0, control)
            for position, (key, number, end, control) in enumerate(self.launched)
            if self.ends.get(key, 0) > end
        ]
        columns = np.array(tails, dtype=np.int64).reshape(-1, 6).T
        self.columns.append((*columns[:4], *(columns[4:] > 0)))
        op, thread, start, end, counted, executor = (np.concatenate(of) for of in zip(*self.columns, strict=True))
        if step_name is None:
            step_name = max(self.steps, key=lambda name: len(self.steps[name]), default=None)
        elif step_name not in self.steps:
            raise InputError(
                "the trace has no steps",
                "record each step inside tf.profiler.experimental.Trace(..., step_num=i)",
            )
        if step_name is not None:
            spans = [(start, end) for _, start, end in sorted(self.steps[step_name])]
        else:
            spans = [(int(start.min()), int(end.max()))] if len(start) else []
        steps = np.array(spans, dtype=np.int64).reshape(-1, 2)
        events = (op, thread, start, end, counted, executor)
        return Recording(tuple(self.index), *events, steps, self.events, tuple(self.threads), step_name)


def _number(stats: Stats, name: str) -> int:
    value = stats.get(name, 0)
    if not isinstance(value, int):
        raise InputError(f"the trace is damaged: its stat {name} is no whole number ({value!r:.40})", _AGAIN)
    return value


def _static_op(name: str) -> Op | None:
    if name.startswith(MARKER):
        return Op("marker", name, "")
    if name.startswith(_EAGER):
        kind = name[len(_EAGER) :]
        return None if _FUNCTION.match(kind) else Op("eager", kind, kind)
    match = _TF_OP.match(name)
    if match and match[2] not in _PLUMBING and not _FUNCTION.match(name):
        return Op("tf", match[1], match[2])
    return None
