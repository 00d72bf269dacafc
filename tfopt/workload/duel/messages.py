"""What a duel and its worker processes tell each other: one JSON object per line."""

from __future__ import annotations

import msgspec

from tfopt.records.base import Note
from tfopt.records.duel import Clock
from tfopt.workload.workers.contestant import Contestant
from tfopt.workload.workers.messages import About, Doing, Refused

__all__ = ["Done", "Message", "Pair", "Ready", "Task", "Time"]

Time = tuple[float, float]  # ms per example: wall, CPU time of the process


class Task(msgspec.Struct, frozen=True):
    """What a worker is to do: each arm against the baseline in `pairs` pairs of blocks; in more, until the standard
    error of their median log-ratio by `clock` is below `precision`; in fewer, where they take more than
    `pair_seconds`. `seed` draws the order within pairs."""

    baseline: Contestant
    arms: tuple[Contestant, ...]
    pairs: int
    precision: float
    pair_seconds: float
    seed: str
    clock: Clock = "wall"


class Ready(About, frozen=True, tag=True):
    """A contestant is loaded, compiled and warm; `notes` are what there is to say of how its step was made."""

    prepare_s: float
    compile_s: float
    examples: float
    on_cpu: bool
    device: str = ""
    notes: tuple[Note, ...] = ()


class Pair(About, frozen=True, tag=True):
    """One block of the baseline and one of the arm: each the least of its calls, per clock."""

    baseline: Time
    arm: Time


class Done(About, frozen=True, tag=True):
    """All pairs of an arm ran; `early`: only few, since its blocks were more than 2 times apart."""

    early: bool


Message = Doing | Ready | Pair | Done | Refused
