"""The command lines that verify advice: those of the run, with what the advice changes."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from tfopt.records.profile import ProfileRecord

__all__ = ["compare_batches", "compare_programs", "profile_with"]

# Options of `tfopt profile` that belong to the question; what is not on the command line comes from the same files.
_WITH_VALUE = (
    *("--data", "--device", "--import", "--input-shape", "--input-size", "--loss", "--mode"),
    *("--optimizer", "--precision", "--seed", "--threads"),
)
_FLAGS = ("--unsafe",)
_COMPARED = frozenset({"--precision"})  # what `tfopt compare` decides by its variants


def compare_programs(record: ProfileRecord, *variants: str) -> str:
    """`tfopt compare` of these variants in the run's precision; a variant may name its own."""
    precision = record.run.precision
    suffix = "" if precision == "float32" else "+saved" if "," in precision else f"+{precision}"
    named = ",".join(name if "float" in name else f"{name}{suffix}" for name in variants)
    batch = () if record.run.data.partition(":")[2] else ("--batch-sizes", str(record.run.batch_size))
    return _line(record, "compare", ("--variants", named, *batch), _COMPARED)


def compare_batches(record: ProfileRecord, sizes: Sequence[int]) -> str:
    """`tfopt compare` of batch sizes with the run's program and precision; '' where the data set decides."""
    if ":" in record.run.data:
        return ""
    program = "eager" if record.run.eager else "xla" if record.run.xla else "graph"
    precision = record.run.precision
    suffix = "" if precision == "float32" else "+saved" if "," in precision else f"+{precision}"
    added = ("--variants", f"{program}{suffix}", "--batch-sizes", ",".join(map(str, sizes)))
    return _line(record, "compare", added, _COMPARED)


def profile_with(record: ProfileRecord, *options: str) -> str:
    """`tfopt profile` again, with other `options` in place of those of the same name."""
    program = () if {"--eager", "--xla", "--no-xla"} & {*options} else _program(record)
    batch = () if ":" in record.run.data and "--data" not in options else ("--batch-size", str(record.run.batch_size))
    return _line(record, "profile", (*program, *batch, *options), frozenset(options))


def _program(record: ProfileRecord) -> tuple[str, ...]:
    return ("--eager",) if record.run.eager else ("--xla",) if record.run.xla else ()


def _line(record: ProfileRecord, verb: str, added: Sequence[str], dropped: frozenset[str]) -> str:
    path = record.model.path
    if record.model.format == "object" or not path.isprintable():  # no command line that can be copied names it
        return ""
    model = f"./{path}" if path.startswith("-") else path
    return shlex.join(["tfopt", verb, model, *_kept(record.run.command, dropped), *added])


def _kept(command: str, dropped: frozenset[str]) -> Iterator[str]:
    """The options of the run's command line that stay."""
    words = iter(shlex.split(command))
    for word in words:
        name, equals, _ = word.partition("=")
        if name in _FLAGS and name not in dropped:
            yield word
        elif name in _WITH_VALUE:
            given = [word] if equals else [word, next(words, "")]
            if name not in dropped:
                yield from given
