"""What a person chose for a run, checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tfopt.errors import UsageError

__all__ = ["MODES", "PRECISIONS", "Options", "check_numbers"]

MODES = ("train", "infer")
PRECISIONS = ("float32", "mixed_float16", "mixed_bfloat16", "float16", "bfloat16")


@dataclass(frozen=True)
class Options:
    """How to run a model. `input_shape` entries are `96,96,3` or `NAME=96,96,3`, without the batch.

    `precision` None keeps the dtypes that the model was saved with. Raises UsageError for words it does not know.
    """

    mode: Literal["train", "infer"] = "train"
    batch_size: int | None = None
    input_shape: tuple[str, ...] = ()
    data: str = "synthetic"
    loss: str | None = None
    optimizer: str | None = None
    precision: str | None = None
    xla: bool | None = None
    eager: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        for name, word, known in (
            ("mode", self.mode, MODES),
            ("precision", self.precision or PRECISIONS[0], PRECISIONS),
        ):
            if word not in known:
                raise UsageError(f"unknown {name} {word!r}", f"use one of {', '.join(filter(None, known))}")
        if self.eager and self.xla:
            raise UsageError("--eager and --xla exclude each other", "XLA compiles a graph; choose one of them")


def check_numbers(**numbers: int | None) -> None:
    """UsageError where a number by that name is given and below 1."""
    for name, number in numbers.items():
        if number is not None and number < 1:
            raise UsageError(f"{name} must be at least 1, not {number}", "give a positive number")
