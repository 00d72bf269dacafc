"""A record for speedscope.app: a flame graph of the whole step, and one of each phase.

Layers stand inside one another as in the layer tree, the ops of a layer are its leaves, and a width is milliseconds
per step. From the record alone, so that a profile's weights add up to the step or to its phase. The format is that of
speedscope's `file-format-spec.ts`, with sampled profiles.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from tfopt.records.profile import LayerRow, ProfileRecord
from tfopt.report.json import compact
from tfopt.report.rows import idle
from tfopt.report.summary import subject
from tfopt.report.view import View
from tfopt.trace.scopes import BRACKETED

__all__ = ["render"]

_SCHEMA = "https://www.speedscope.app/file-format-schema.json"


class _Frame(NamedTuple):
    """What a box stands for; `file` tells boxes of one name apart: the path of the layer."""

    name: str
    file: str = ""


class _Stack(NamedTuple):
    """A leaf of the step with all that it is in, outermost first, and its time."""

    phase: str
    frames: tuple[_Frame, ...]
    ms: float


def render(record: ProfileRecord, view: View) -> str:
    """`record` as a speedscope file; the view changes nothing."""
    stacks = list(_stacks(record))
    known: dict[_Frame, int] = {}
    profiles = [_profile("step", [((_Frame(stack.phase), *stack.frames), stack.ms) for stack in stacks], known)]
    for phase in dict.fromkeys(stack.phase for stack in stacks if stack.frames):
        inside = [(stack.frames, stack.ms) for stack in stacks if stack.phase == phase]
        profiles.append(_profile(phase, inside, known))
    file = {
        "$schema": _SCHEMA,
        "version": "0.6.0",
        "name": subject(record.model)[0],
        "activeProfileIndex": 0,
        "shared": {"frames": [{"name": frame.name, "file": frame.file} for frame in known]},
        "profiles": profiles,
    }
    return compact(file).decode("utf-8") + "\n"


def _stacks(record: ProfileRecord) -> Iterable[_Stack]:
    """Every part of the step in the order of phases and layers, the idle time last."""
    phases = {row.phase: at for at, row in enumerate(record.phases)}
    layers = {row.path: at for at, row in enumerate(record.layers)}
    around = _enclosing(record.layers)
    charges = [(charge, op) for op in record.ops for charge in op.placed if op.self_ms * charge.fraction > 0]
    charges.sort(key=lambda item: (phases.get(item[0].phase, 0), layers.get(item[0].layer, 0)))
    for charge, op in charges:
        leaf = _Frame(f"{op.type} {op.name}", charge.layer)
        yield _Stack(charge.phase, (*around.get(charge.layer, ()), leaf), op.self_ms * charge.fraction)
    yield _Stack("idle", (), idle(record).self_ms)


def _enclosing(layers: Sequence[LayerRow]) -> dict[str, tuple[_Frame, ...]]:
    """The frames of each layer: itself, in those that it is in. Rows come as a tree is walked, parents first."""
    chains: dict[str, tuple[_Frame, ...]] = {}
    open_rows: list[LayerRow] = []
    for row in layers:
        del open_rows[row.depth :]
        parent = open_rows[-1].path if open_rows else ""
        name = row.path.removeprefix(f"{parent}/")
        frame = _Frame(name if row.path in BRACKETED else f"{name} ({row.type})", row.path)
        chains[row.path] = (*chains.get(parent, ()), frame)
        open_rows.append(row)
    return chains


def _profile(name: str, stacks: Sequence[tuple[tuple[_Frame, ...], float]], known: dict[_Frame, int]) -> dict[str, Any]:
    return {
        "type": "sampled",
        "name": name,
        "unit": "milliseconds",
        "startValue": 0,
        "endValue": math.fsum(ms for _, ms in stacks),
        "samples": [[known.setdefault(frame, len(known)) for frame in frames] for frames, _ in stacks],
        "weights": [ms for _, ms in stacks],
    }
