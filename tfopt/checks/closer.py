"""The command line that shows more of what a gate found."""

from __future__ import annotations

import shlex

from tfopt.workload.options import Options
from tfopt.workload.workers.contestant import Contestant

__all__ = ["argument", "closer"]

# What both know: `tfopt influence` has no step.
_OF_STEPS = ("mode", "optimizer", "precision")
_RUNNING = ("profile", "compare")
_HERE = ("auto", "cpu")


def closer(contestant: Contestant, verb: str, *options: str) -> str:
    """`tfopt VERB MODEL` with the contestant's own options; '' where its name cannot be copied from a screen."""
    if not contestant.model.isprintable():
        return ""
    return shlex.join(["tfopt", verb, argument(contestant.model), *_options(contestant, verb), *options])


def argument(model: str) -> str:
    """The model's name where it cannot be taken for an option."""
    return f"./{model}" if model.startswith("-") else model


def _options(contestant: Contestant, verb: str) -> list[str]:
    given, default = contestant.options, Options()
    words: list[str] = []
    for name in ("batch_size", "data", "loss", "seed", *(() if verb == "influence" else _OF_STEPS)):
        value = getattr(given, name)
        if value != getattr(default, name):
            words += [f"--{name.replace('_', '-')}", str(value)]
    for name, values in (("--input-shape", given.input_shape), ("--import", contestant.imports)):
        for value in values:
            words += [name, value]
    for name, number in (("--input-size", contestant.input_size), ("--threads", contestant.threads)):
        words += [name, str(number)] if number is not None else []
    elsewhere = ["--device", contestant.device] if contestant.device not in _HERE and verb in _RUNNING else []
    xla = given.xla and verb != "influence"
    return [*words, *elsewhere, *(["--xla"] if xla else []), *(["--unsafe"] if contestant.unsafe else [])]
