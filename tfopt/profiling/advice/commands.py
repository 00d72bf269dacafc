"""The command lines that verify advice: those of the run, with what the advice changes."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from tfopt.records.profile import ProfileRecord
from tfopt.workload.options import PRECISIONS

__all__ = ["compare_batches", "compare_precisions", "compare_programs", "profile_with"]

# Options of `tfopt profile` that belong to the question; what is not on the command line comes from the same files.
_WITH_VALUE = (
    *("--config", "--data", "--device", "--import", "--input-shape", "--input-size", "--loss", "--mode"),
    *("--optimizer", "--precision", "--seed", "--threads"),
)
_FLAGS = ("--unsafe",)
_COMPARED = frozenset({"--precision"})  # what `tfopt compare` decides by its variants
_PROGRAMS = frozenset({"--eager", "--xla", "--no-xla"})
_SAID_ANYWAY = ("graph", "float32")  # of a variant


def compare_programs(record: ProfileRecord, *programs: str) -> str:
    """`tfopt compare` of these programs (`graph`, `xla`, `eager`) in the run's precision."""
    return _compare(record, [_variant(program, record.run.precision) for program in programs])


def compare_precisions(record: ProfileRecord, *precisions: str) -> str:
    """`tfopt compare` of these precisions in the run's program; '' where they are one, as that of a SavedModel is."""
    if record.model.format == "savedmodel":
        return ""
    return _compare(record, [_variant(_program(record), precision) for precision in precisions])


def compare_batches(record: ProfileRecord, sizes: Sequence[int]) -> str:
    """`tfopt compare` of batch sizes with the run's program and precision; '' where the data set decides."""
    return "" if ":" in record.run.data else _compare(record, [_variant(_program(record), record.run.precision)], sizes)


def profile_with(record: ProfileRecord, *options: str) -> str:
    """`tfopt profile` again, with other `options` in place of those of the same name."""
    program = () if _PROGRAMS & {*options} else _program_options(record)
    batch = () if ":" in record.run.data and "--data" not in options else ("--batch-size", str(record.run.batch_size))
    return _line(record, "profile", (*program, *batch, *options), frozenset(options))


def _program(record: ProfileRecord) -> str:
    return "eager" if record.run.eager else "xla" if record.run.xla else "graph"


def _program_options(record: ProfileRecord) -> tuple[str, ...]:
    program = _program(record)
    return (f"--{program}",) if program != "graph" else ("--no-xla",) if "--no-xla" in _words(record) else ()


def _variant(program: str, precision: str) -> str:
    """A name that `tfopt compare` reads; a precision that has none, such as float64 or a mixture, is the file's."""
    words = (program, precision if precision in PRECISIONS else "saved")
    return "+".join(word for word in words if word not in _SAID_ANYWAY) or "graph"


def _compare(record: ProfileRecord, variants: Sequence[str], sizes: Sequence[int] = ()) -> str:
    """The comparison, each variant once; '' where there is nothing to compare."""
    distinct = list(dict.fromkeys(variants))
    if len(distinct) * max(1, len(sizes)) < 2:
        return ""
    examples = sizes or (() if ":" in record.run.data else (record.run.batch_size,))
    batches = ("--batch-sizes", ",".join(map(str, examples))) if examples else ()
    return _line(record, "compare", ("--variants", ",".join(distinct), *batches), _COMPARED)


def _line(record: ProfileRecord, verb: str, added: Sequence[str], dropped: frozenset[str]) -> str:
    """'' where no command line that can be copied runs what was run: a model object, a call of the Python API."""
    path = record.model.path
    if record.model.format == "object" or not path.isprintable() or _words(record)[:2] != ["tfopt", "profile"]:
        return ""
    model = f"./{path}" if path.startswith("-") else path
    return shlex.join(["tfopt", verb, model, *_kept(_words(record), dropped), *added])


def _words(record: ProfileRecord) -> list[str]:
    return shlex.split(record.run.command)


def _kept(line: Sequence[str], dropped: frozenset[str]) -> Iterator[str]:
    """The options of the run's command line that stay."""
    words = iter(line)
    for word in words:
        name, equals, _ = word.partition("=")
        if name in _FLAGS and name not in dropped:
            yield word
        elif name in _WITH_VALUE:
            given = [word] if equals else [word, next(words, "")]
            if name not in dropped:
                yield from given
