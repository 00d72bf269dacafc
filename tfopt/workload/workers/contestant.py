"""One arm of a duel: a model and how to run it."""

from __future__ import annotations

from dataclasses import dataclass

from tfopt.workload.options import Options

__all__ = ["Contestant"]


@dataclass(frozen=True)
class Contestant:
    """A model and how to run it. `label` is its name in the results, its own among the arms of a duel."""

    label: str
    model: str
    options: Options
    device: str = "auto"
    threads: int | None = None
    imports: tuple[str, ...] = ()
    unsafe: bool = False
    input_size: int | None = None
