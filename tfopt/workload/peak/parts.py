"""What is alive at the peak of a step, and whose it is. Pure functions of a program and the places of its ops."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tfopt.trace.scopes import Place
from tfopt.workload.peak.allocator import COUNTED_BYTES, replay
from tfopt.workload.peak.liveness import alive, events, run_order
from tfopt.workload.peak.program import Program

__all__ = ["Peak", "peak_of"]


@dataclass(frozen=True)
class Peak:
    """Bytes beyond those of weights and slots at the moment when there are most, by what they are; `op` works then."""

    gradients: int = 0
    activations: int = 0
    temporaries: int = 0
    allocator: int = 0
    uncounted: int = 0
    op: str | None = None


def peak_of(program: Program, place: Callable[[str], Place | None], threads: int = 1) -> Peak:
    """The peak of a step. Names of ops are looked up in `place`, to tell forward results from the rest."""
    happened = events(program, run_order(program, threads))
    in_use = replay(happened)
    if not in_use:
        return Peak()
    moment = max(range(len(in_use)), key=in_use.__getitem__)
    last = len(happened) - len(in_use) + moment
    updated = _read_by_optimizer(program, place)
    gradients = activations = uncounted = 0
    for event in alive(happened, last):
        if event.op is None:
            continue
        uncounted += event.bytes if event.bytes < COUNTED_BYTES else 0
        where = place(program.ops[event.op].name)
        if event.op in updated and where is not None and where.phase == "backward":
            gradients += event.bytes
        elif where is not None and where.phase == "forward":
            activations += event.bytes
    tensors = sum(event.bytes for event in happened[: last + 1] if event.op is not None)
    working = happened[last].op
    return Peak(
        gradients,
        activations,
        tensors - gradients - activations,
        in_use[moment] - tensors,
        uncounted,
        None if working is None else program.ops[working].name,
    )


def _read_by_optimizer(program: Program, place: Callable[[str], Place | None]) -> set[int]:
    """Positions of the ops that make what an optimizer's ops read, directly or under another name."""
    maker = {value: position for position, op in enumerate(program.ops) for value in op.outputs}
    found: set[int] = set()
    pending = [op for op in program.ops if (where := place(op.name)) is not None and where.phase == "optimizer"]
    while pending:
        for value in pending.pop().inputs:
            position = maker.get(value)
            if position is not None and position not in found:
                found.add(position)
                if program.ops[position].kind == "share":
                    pending.append(program.ops[position])
    return found
