"""`tfopt influence`: which paths, units and branches carry a model's result, and how sure that is."""

from __future__ import annotations

import contextlib
import datetime
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import tfopt
from tfopt.errors import InputError, UsageError
from tfopt.model.said import said_as_notes
from tfopt.model.source import identify
from tfopt.profiling.telling import told
from tfopt.records.base import Note
from tfopt.records.influence import InfluenceInfo, InfluenceRecord
from tfopt.report.progress import ProgressCallback, silent
from tfopt.workload.options import Options, check_numbers
from tfopt.workload.runtime import import_tensorflow, set_threads, threads_used

if TYPE_CHECKING:  # these import TensorFlow, which is loaded quietly and late
    from tfopt.pathways.groups import Group
    from tfopt.workload.batch import Batch

__all__ = ["influence"]

Mode = Literal["data-free", "data", "both"]
Target = Literal["predicted", "margin"] | int
_WORDS: tuple[Literal["predicted", "margin"], ...] = ("predicted", "margin")
_BATCH = 32


def influence(
    model: Any,
    *,
    mode: Mode | None = None,
    target: str | int = "predicted",
    groups: Sequence[str] | Mapping[str, Group] = (),
    top: int = 20,
    paths: int = 3,
    level: Literal["unit", "layer"] = "unit",
    maxpool: Literal["sum", "max"] = "sum",
    biases: Literal["exclude", "include"] = "exclude",
    ablate: int | None = None,
    health: bool | None = None,
    samples: int = 256,
    batch_size: int | None = None,
    input_shape: Sequence[str] = (),
    input_size: int | None = None,
    data: str = "synthetic",
    loss: str | None = None,
    seed: int = 0,
    threads: int | None = None,
    imports: Sequence[str] = (),
    unsafe: bool = False,
    command: str = "tfopt.influence",
    progress: ProgressCallback = silent,
) -> InfluenceRecord:
    """What carries the result of a saved model, or of a Keras model object, which is left as it was.

    Args:
        model: a path (`.keras`, `.h5`), `app:NAME`, or a built Keras model.
        mode: `data-free` for path weights, `data` for contributions to the result on data, or `both`; None for both
            where `data` are given.
        target: of contributions: `predicted` (each sample's class), the number of an output, or `margin` (the predicted
            logit less the mean of the others).
        groups: `NAME=PATTERN` of layers or weights, several of one name belong together; or as for `path_weights`.
        top: how many of the strongest weights the record has.
        paths: how many of the strongest paths to find; 0 for none.
        level: what such a path leads through: units or layers.
        maxpool, biases: as for `path_weights`.
        ablate: set so many units to zero, the weakest and the strongest, and measure what that does to the metric.
        health: look at signals and gradients; None: where `data` are given.
        samples: most examples of `data` that are looked at.
        batch_size: examples at a time; default 32.
        input_shape, input_size, data, loss, seed, threads, imports, unsafe: as for `tfopt.profile`.
        command: the command line, for the record.
        progress: called with a stage and the fraction done (None while unknown).

    Raises:
        UsageError, InputError, RunFailed: with a hint that mends it.
    """
    check_numbers(batch_size=batch_size, input_size=input_size, threads=threads, samples=samples, ablate=ablate)
    if ablate is not None and data == "synthetic":
        raise UsageError(
            "ablation needs data: drawn targets cannot tell what a unit is worth", "bring yours with --data"
        )
    asked = _Asked(
        mode=mode or ("data-free" if data == "synthetic" else "both"),
        target=_target(target),
        groups=_grouped(groups),
        top=top,
        paths=paths,
        level=level,
        maxpool=maxpool,
        biases=biases,
        ablate=ablate,
        health=data != "synthetic" if health is None else health,
        health_wanted=bool(health),
        samples=samples,
        options=Options("train", batch_size, tuple(input_shape), data, loss, seed=seed),
    )
    _check_shown(asked)
    started_at = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    name = str(getattr(model, "name", "model"))
    if isinstance(model, str | os.PathLike):
        source = identify(str(model))
        name = source.name
        if source.format == "savedmodel":
            raise InputError(
                f"{source.path} is a SavedModel: it has no layers, and paths lead through layers",
                "save the Keras model itself, with model.save('model.keras')",
            )
    with contextlib.ExitStack() as stack:
        progress("loading TensorFlow", None)
        import_tensorflow()
        set_threads(threads)

        from tfopt.profiling.subject import loaded_or_given, model_info
        from tfopt.workload.device import place
        from tfopt.workload.scope_names import usable_scopes

        stack.enter_context(place("cpu").scope())
        progress(f"loading {name}", None)
        loaded = loaded_or_given(model, imports, unsafe, input_size, seed, stack)
        if not loaded.model.weights:
            raise InputError(
                f"{name} has no weights: nothing carries more than anything else",
                "choose a model that has layers with weights",
            )
        notes: list[Note] = []
        with said_as_notes(notes), usable_scopes():
            parts, batch = _parts(loaded.model, asked, notes, progress)
        return InfluenceRecord(
            model=model_info(loaded, loaded.model),
            run=_info(asked, batch, command, started_at),
            notes=(*loaded.notes, *(batch.notes if batch is not None else ()), *notes),
            **parts,
        )


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """What a person asked for. `health_wanted`: by name, so that it is an error if it cannot be had."""

    mode: Mode
    target: Target
    groups: Mapping[str, Group]
    top: int
    paths: int
    level: Literal["unit", "layer"]
    maxpool: Literal["sum", "max"]
    biases: Literal["exclude", "include"]
    ablate: int | None
    health: bool
    health_wanted: bool
    samples: int
    options: Options

    @property
    def targets(self) -> bool:
        """Whether anything needs a loss."""
        return self.health or self.ablate is not None

    @property
    def batch_size(self) -> int:
        return self.options.batch_size or _BATCH


def _check_shown(asked: _Asked) -> None:
    """UsageError where something was asked for that the mode leaves out: its absence would look like an answer."""
    if asked.groups and asked.mode == "data":
        raise UsageError("groups are of paths, which the mode data leaves out", "choose --mode both, or no groups")
    if asked.target != "predicted" and asked.mode == "data-free":
        hint = "bring --data, or leave the target out" if asked.options.data == "synthetic" else "choose --mode both"
        raise UsageError("a target is of contributions on data, which the mode data-free leaves out", hint)


def _target(given: str | int) -> Target:
    """UsageError where it is neither a word that is known nor a number."""
    text = str(given)
    for word in _WORDS:
        if text == word:
            return word
    if text.isdecimal():
        return int(text)
    raise UsageError(f"unknown target {text!r}", "use predicted, margin, or the number of an output, from 0")


def _grouped(given: Sequence[str] | Mapping[str, Group]) -> Mapping[str, Group]:
    """`NAME=PATTERN` entries by name; a pattern alone is its own name."""
    if isinstance(given, Mapping):
        return given
    found: dict[str, list[str]] = {}
    for text in given:
        name, _, pattern = text.rpartition("=")
        if not pattern:
            raise UsageError(
                f"{text!r} names no group", "write --groups NAME=PATTERN, such as --groups head=predictions"
            )
        found.setdefault(name or pattern, []).append(pattern)
    return found


def _parts(
    model: Any, asked: _Asked, notes: list[Note], progress: ProgressCallback
) -> tuple[dict[str, Any], Batch | None]:
    """The reports that were asked for, by their names in the record. What nobody asked for by name may fail: a note
    tells."""
    from tfopt.workload.failures import explained

    found: dict[str, Any] = {}
    batch = _data(model, asked, notes, progress)
    if asked.mode != "data":
        from tfopt.pathways.path_weights import path_weights

        shape = _shape(model, asked, batch, notes)
        progress("summing all paths", None)
        with explained("summing all paths"):
            found["paths"] = path_weights(
                model, groups=asked.groups, maxpool=asked.maxpool, biases=asked.biases, input_shape=shape, top=asked.top
            )
        if asked.paths:
            from tfopt.pathways.top_paths import top_paths

            progress("finding the strongest paths", None)
            with told("the strongest paths are not known", notes):
                found["strongest"] = top_paths(model, asked.paths, level=asked.level, input_shape=shape)
    if batch is None:
        return found, None
    if asked.mode != "data-free":
        from tfopt.pathways.relevance import relevance

        progress("tracing contributions", None)
        with explained("tracing contributions"):
            found["relevance"] = relevance(model, batch.x, target=asked.target, batch_size=asked.batch_size)
    if asked.health and _targets_there(batch, "health", asked.health_wanted, notes):
        from tfopt.pathways.health import health

        progress("looking at signals and gradients", None)
        with explained("health") if asked.health_wanted else told("health is not known", notes):
            found["health"] = health(model, batch.x, batch.y)
    if asked.ablate is not None and _targets_there(batch, "ablation", True, notes):
        from tfopt.pathways.ablation import ablate

        progress("setting units to zero", None)
        with explained("setting units to zero"):
            found["ablation"] = ablate(
                model, batch.x, batch.y, count=asked.ablate, seed=asked.options.seed, batch_size=asked.batch_size
            )
    return found, batch


def _shape(model: Any, asked: _Asked, batch: Batch | None, notes: list[Note]) -> Sequence[str]:
    """The shape of an input of ones: as asked for, else that of the data, else of a default length, which is noted."""
    from tfopt.model.inputs import input_specs
    from tfopt.workload.batch import default_lengths, resolve_shapes

    given = asked.options.input_shape
    specs = input_specs(model, input_shape=given)
    if not given and batch is not None and len(batch.inputs) == len(specs):
        return tuple(
            f"{spec.name}={','.join(map(str, info.shape[1:]))}"
            for spec, info in zip(specs, batch.inputs, strict=True)
            if None in spec.shape[1:]
        )
    notes.extend(default_lengths(specs, resolve_shapes(specs, 1, given)[1]))
    return given


def _data(model: Any, asked: _Asked, notes: list[Note], progress: ProgressCallback) -> Batch | None:
    """The examples, with targets where anything needs them; None where nothing needs data."""
    if asked.mode == "data-free" and not asked.targets:
        return None
    from tfopt.workload.batching import Targets
    from tfopt.workload.compilation import compile_model
    from tfopt.workload.failures import explained
    from tfopt.workload.samples import gathered

    progress("reading the data", None)
    with explained("reading the data"):
        if asked.targets:
            notes.extend(compile_model(model, asked.options))
        targets = Targets(model, model.loss, required=False) if asked.targets and model.loss is not None else None
        batch = gathered(model, asked.options, asked.samples, targets)
    if asked.options.data == "synthetic":
        notes.append(
            Note(
                message="the data are drawn at random: what they show is not about yours",
                hint="bring yours with --data",
            )
        )
    return batch


def _targets_there(batch: Batch, what: str, wanted: bool, notes: list[Note]) -> bool:
    """InputError where data lack the targets that something asked for by name needs; else a note."""
    if batch.y is not None:
        return True
    message, hint = (
        f"{batch.source} has no targets, which {what} needs",
        "save them as y beside x, or let the function yield (x, y)",
    )
    if wanted:
        raise InputError(message, hint)
    notes.append(Note(message=message, hint=hint))
    return False


def _info(asked: _Asked, batch: Batch | None, command: str, started_at: str) -> InfluenceInfo:
    import keras
    import tensorflow as tf

    return InfluenceInfo(
        mode=asked.mode,
        batch_size=0 if batch is None else min(asked.batch_size, batch.size),
        samples=0 if batch is None else batch.size,
        inputs=() if batch is None else batch.inputs,
        data=asked.options.data,
        seed=asked.options.seed,
        threads=threads_used(),
        command=command,
        started_at=started_at,
        tfopt=tfopt.__version__,
        python=platform.python_version(),
        tensorflow=tf.__version__,
        keras=keras.__version__,
    )
