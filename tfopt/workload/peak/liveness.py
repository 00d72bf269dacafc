"""Which buffers are alive when: a program is run on paper, as TensorFlow's executor would run it.

A buffer dies when the last op that reads it has run. Of the ops that are ready, cheap ones run first, in the order in
which they became so; of dear ones the latest: `ExecutorState::ScheduleReady` (tensorflow/core/common_runtime/
executor.cc) runs cheap ones inline and puts dear ones at the front of its thread's queue.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from tfopt.workload.peak.program import Op, Program

__all__ = ["CHEAP", "Event", "alive", "events", "run_order"]


# What TensorFlow's executor takes for cheap: 8,000 cycles, in bytes that an op touches.
CHEAP = 32 * 1024


@dataclass(frozen=True)
class Event:
    """`buffer` (a number) of `bytes` is allocated (`bytes` > 0) or freed (< 0) by the op at position `op`; None for
    the variables' buffers that are there before."""

    buffer: int
    bytes: int
    op: int | None


def run_order(program: Program, threads: int = 1) -> list[tuple[int, bool]]:
    """(position, starts) in the order of time: every op starts once and ends once, at most `threads` run at a time.

    ValueError where ops wait for one another for ever.
    """
    maker = {value: position for position, op in enumerate(program.ops) for value in op.outputs}
    waiting, readers = [], defaultdict[int, list[int]](list)
    cheap, dear = deque[int](), list[int]()
    for position, op in enumerate(program.ops):
        needs = {maker[value] for value in op.inputs if value in maker} | set(op.after)
        waiting.append(len(needs))
        for need in needs:
            readers[need].append(position)
        if not needs:
            (dear if op.cost > CHEAP else cheap).append(position)
    running: list[tuple[float, int]] = []
    order = []
    now = 0.0
    while cheap or dear or running:
        while (cheap or dear) and len(running) < threads:
            position = cheap.popleft() if cheap else dear.pop()
            order.append((position, True))
            heapq.heappush(running, (now + program.ops[position].cost, position))
        now, ended = heapq.heappop(running)
        order.append((ended, False))
        for reader in readers[ended]:
            waiting[reader] -= 1
            if not waiting[reader]:
                (dear if program.ops[reader].cost > CHEAP else cheap).append(reader)
    if len(order) < 2 * len(program.ops):
        raise ValueError(f"{len(program.ops) - len(order) // 2} ops wait for one another")
    return order


def events(program: Program, order: Sequence[tuple[int, bool]]) -> list[Event]:
    """Every allocation and release of one step, the variables' own buffers first."""
    return list(_Execution(program).run(order))


def alive(happened: Sequence[Event], last: int) -> tuple[Event, ...]:
    """The allocations of which the buffers are alive after the event at position `last`."""
    held: dict[int, Event] = {}
    for event in happened[: last + 1]:
        if event.bytes > 0:
            held[event.buffer] = event
        else:
            del held[event.buffer]
    return tuple(held.values())


@dataclass
class _Buffer:
    number: int
    bytes: int
    references: int = 0
    holds: tuple[_Buffer, ...] = ()  # of a list: the list before, and the tensor that was pushed
    listed: bool = False


@dataclass
class _Execution:
    program: Program
    _values: dict[int, _Buffer] = field(default_factory=dict)
    _variables: dict[int, _Buffer] = field(default_factory=dict)
    _events: list[Event] = field(default_factory=list)
    _numbers: int = 0

    def run(self, order: Sequence[tuple[int, bool]]) -> Iterator[Event]:
        reads = Counter(value for op in self.program.ops for value in op.inputs)
        reads.update(self.program.results)
        handles = {op.inputs[0] for op in self.program.ops if op.kind in ("read", "assign", "update")}
        for handle, size in {**dict.fromkeys(sorted(handles), 0), **self.program.variables}.items():
            self._variables[handle] = self._made(size, None)
            self._variables[handle].references = 1
        ending: dict[int, tuple[_Buffer, ...]] = {}  # what an op needs until it ends
        for position, starts in order:
            op = self.program.ops[position]
            if starts:
                inputs = [self._values.get(value) or self._made(0, None) for value in op.inputs]
                scratch = self._made(op.scratch, position)
                outputs = _DOES[op.kind](self, op, position, inputs)
                scratch.references = 1
                for value, buffer in zip(op.outputs, outputs, strict=True):
                    buffer.references += reads[value] + 1  # the op itself
                    self._values[value] = buffer
                ending[position] = (scratch, *inputs, *outputs)
            else:
                for buffer in ending.pop(position):
                    self._dropped(buffer, position)
            yield from self._events
            self._events.clear()

    def _made(self, size: int, position: int | None, holds: tuple[_Buffer, ...] = ()) -> _Buffer:
        self._numbers += 1
        for held in holds:
            held.references += 1
        if size:
            self._events.append(Event(self._numbers, size, position))
        return _Buffer(self._numbers, size, 0, holds)

    def _dropped(self, buffer: _Buffer, position: int) -> None:
        buffer.references -= 1
        if not buffer.references:
            self._freed(buffer, position)

    def _freed(self, buffer: _Buffer, position: int) -> None:
        pending = [buffer]
        while pending:  # a list of a thousand tensors is a thousand lists deep
            buffer = pending.pop()
            if buffer.bytes:
                self._events.append(Event(buffer.number, -buffer.bytes, position))
            for held in buffer.holds:
                held.references -= 1
                if not held.references:
                    pending.append(held)
            buffer.bytes, buffer.holds = 0, ()

    def _compute(self, op: Op, position: int, inputs: list[_Buffer]) -> list[_Buffer]:
        outputs = []
        for number, size in enumerate(op.sizes):
            reusable = op.reuses if number == 0 and size else ()
            taken = (inputs[at] for at in reusable if inputs[at].references == 1 and inputs[at].bytes == size)
            outputs.append(next(taken, None) or self._made(size, position))
        return outputs

    def _share(self, op: Op, position: int, inputs: list[_Buffer]) -> list[_Buffer]:
        return [inputs[min(number, len(inputs) - 1)] for number in range(len(op.outputs))]

    def _free(self, op: Op, position: int, inputs: list[_Buffer]) -> list[_Buffer]:
        return [self._made(0, position) for _ in op.outputs]

    def _read(self, op: Op, position: int, inputs: list[_Buffer]) -> list[_Buffer]:
        return [self._variables[op.inputs[0]]]

    def _assign(self, op: Op, position: int, inputs: list[_Buffer]) -> list[_Buffer]:
        self._store(op.inputs[0], inputs[1], position)
        return []

    def _update(self, op: Op, position: int, inputs: list[_Buffer]) -> list[_Buffer]:
        old = self._variables[op.inputs[0]]
        if old.references > 1:
            self._store(op.inputs[0], self._made(old.bytes, position), position)
        return []

    def _store(self, handle: int, buffer: _Buffer, position: int) -> None:
        buffer.references += 1
        self._dropped(self._variables[handle], position)
        self._variables[handle] = buffer

    def _push(self, op: Op, position: int, inputs: list[_Buffer]) -> list[_Buffer]:
        before, tensor = inputs
        ballast = 0 if tensor.listed else round(tensor.bytes * (op.weight - 1))
        tensor.listed = True
        return [self._made(ballast, position, (before, tensor))]

    def _pop(self, op: Op, position: int, inputs: list[_Buffer]) -> list[_Buffer]:
        return list(inputs[0].holds) if len(inputs[0].holds) == len(op.outputs) else [inputs[0]] * len(op.outputs)

    def _copy(self, op: Op, position: int, inputs: list[_Buffer]) -> list[_Buffer]:
        found, pending = dict[int, int](), [inputs[0]]
        while pending:
            buffer = pending.pop()
            if buffer.number not in found:
                found[buffer.number] = buffer.bytes
                pending.extend(buffer.holds)
        return [self._made(sum(found.values()), position)]


_DOES: dict[str, Callable[[_Execution, Op, int, list[_Buffer]], list[_Buffer]]] = {
    "compute": _Execution._compute,
    "share": _Execution._share,
    "free": _Execution._free,
    "read": _Execution._read,
    "assign": _Execution._assign,
    "update": _Execution._update,
    "push": _Execution._push,
    "pop": _Execution._pop,
    "copy": _Execution._copy,
}
