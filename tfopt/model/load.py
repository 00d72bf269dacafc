"""From the user's MODEL to a model in memory; whatever is wrong with the file becomes an InputError."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfopt.errors import InputError, TfoptError, UsageError
from tfopt.model.archive import WEIGHTS, unpack
from tfopt.model.config import registered_names
from tfopt.model.hdf5 import check_weights, refuse_code
from tfopt.model.recursion import deep_networks
from tfopt.model.said import said_as_notes
from tfopt.model.source import ModelSource, file_label, identify
from tfopt.model.steady import steady
from tfopt.model.text import one_line
from tfopt.records import Note
from tfopt.scratch import temporary_folder

__all__ = ["LoadedModel", "given", "load"]

# Optimizers keep up to a few values per weight, and a file may hold none of them.
_VARIABLES_PER_STORED = 8
_VARIABLES_FLOOR_BYTES = 256 * 2**20

# Keras's class of code in a configuration, by format: what must not run unless the user says so.
_CODE_CLASSES = {"hdf5": ("Lambda", "__lambda__", "TFSMLayer"), "keras": ("__lambda__", "TFSMLayer")}


@dataclass(frozen=True)
class LoadedModel:
    """A model and where it comes from; `notes` say what the user should know about how it was loaded.

    `model` is a `keras.Model`, or for a SavedModel a `tfopt.model.savedmodel.ServingFunction`.
    """

    model: Any
    source: ModelSource
    notes: tuple[Note, ...] = ()


def given(model: Any) -> LoadedModel:
    """A model object that the caller built."""
    name = one_line(getattr(model, "name", "model"), 80)
    return LoadedModel(model, ModelSource(name, name, "object", None, None, compiled=bool(model.compiled)))


@contextlib.contextmanager
def _loadable(source: ModelSource) -> Iterator[tuple[Path, int]]:
    """A path that Keras's loader takes, and the bytes of the weights there; the user's file is only read.

    An archive is unpacked, so that what was checked is what is loaded; an HDF5 file gets a link with the suffix that
    Keras asks for.
    """
    path, label = Path(source.path).absolute(), file_label(source.path)
    if path.is_dir():
        yield path, check_weights(path / WEIGHTS, label).declared_bytes
        return
    with temporary_folder() as folder:
        if source.format == "hdf5":
            link = folder / "model.h5"
            try:
                link.symlink_to(path)
            except OSError:  # no links here (Windows without the right)
                shutil.copyfile(path, link)
            yield link, source.declared_bytes or 0
        else:
            unpack(path, folder, label)
            yield folder, check_weights(folder / WEIGHTS, label).declared_bytes


def _one_attempt(
    path: Path, source: ModelSource, stored: int, objects: dict[str, Any], compiled: bool, safe: bool
) -> Any:
    import keras

    from tfopt.model.budget import variable_budget

    limit = _VARIABLES_PER_STORED * stored + _VARIABLES_FLOOR_BYTES
    damaged = "its configuration is damaged: copy the file again, or save the model again"
    with variable_budget(limit, file_label(source.path), "far more than it stores", damaged) as budget:
        try:
            model = keras.models.load_model(path, custom_objects=objects, compile=compiled, safe_mode=safe)
        except Exception:
            # Keras swallows exceptions where it builds by trial; the refusal is then the true cause.
            if budget.refusal is not None:
                raise budget.refusal from None
            raise
    if not isinstance(model, keras.Model):
        raise InputError(
            f"{file_label(source.path)} holds a {type(model).__name__}, not a model",
            "save a whole model with model.save()",
        )
    if compiled:
        # Keras looks names of losses up only when it trains.
        for loss in keras.tree.flatten(getattr(model, "loss", None)):
            keras.losses.get(loss)
        if source.format == "hdf5":
            _unbuild(getattr(model, "optimizer", None))
    return model


def _unbuild(optimizer: Any) -> None:
    """Keras's HDF5 reader builds the optimizer for no variables at all, and then it refuses to update any."""
    while optimizer is not None:
        optimizer.built = False
        optimizer = getattr(optimizer, "inner_optimizer", None)


def _attempts(
    path: Path, source: ModelSource, stored: int, objects: dict[str, Any], safe: bool
) -> tuple[Any, list[Note]]:
    """The model with its compile state; without it where only that cannot be read, and a note that says so."""
    from tfopt.model.failure import cause, explain

    try:
        return _one_attempt(path, source, stored, objects, source.compiled, safe), []
    except TfoptError:
        raise
    except Exception as error:
        if not source.compiled:
            raise explain(source, error) from error
        first = cause(error)
    try:
        model = _one_attempt(path, source, stored, objects, False, safe)
    except TfoptError:
        raise
    except Exception as error:
        raise explain(source, error) from error
    note = Note(
        message=f"loaded without its compile state, which cannot be read: {first}",
        hint="choose --loss and --optimizer, or compile the model and save it again",
    )
    return model, [note]


def _load_file(source: ModelSource, imports: Sequence[str], unsafe: bool) -> LoadedModel:
    config = source.config or {}
    if not unsafe:
        for class_name in _CODE_CLASSES[source.format]:
            refuse_code(config, file_label(source.path), class_name)
    with _loadable(source) as (path, stored):
        # Only now TensorFlow is needed.
        from tfopt.model.imports import custom_objects, import_modules

        objects = custom_objects(import_modules(imports), registered_names(config))
        said: list[Note] = []
        with said_as_notes(said), deep_networks():
            model, notes = _attempts(path, source, stored, objects, not unsafe)
    return LoadedModel(model, source, (*notes, *said))


def _load_application(source: ModelSource, input_size: int | None) -> LoadedModel:
    from tfopt.model.applications import build_application

    name, model = build_application(source.name, input_size)
    return LoadedModel(model, dataclasses.replace(source, name=name))


def _load_saved_model(source: ModelSource) -> LoadedModel:
    from tfopt.model.savedmodel import load_serving

    notes: list[Note] = []
    with said_as_notes(notes):
        serving = load_serving(source)
    return LoadedModel(serving, source, tuple(notes))


def load(
    model: str | os.PathLike[str],
    *,
    imports: Sequence[str] = (),
    unsafe: bool = False,
    input_size: int | None = None,
) -> LoadedModel:
    """Loads `model`: a `.keras` or HDF5 file or a SavedModel folder, by content, or `app:NAME`.

    Args:
        model: path, or `app:NAME` for a network of keras.applications with random weights.
        imports: modules that define the model's custom classes.
        unsafe: allow the file's Lambda layers to run the Python code they hold.
        input_size: height and width in pixels for `app:NAME`.

    Raises:
        InputError: the file cannot be read, is not a model, or is refused.
        UsageError: a module cannot be imported, or `input_size` is given with a file.
    """
    with steady(model):  # from the first look at it to the last
        source = identify(os.fspath(model))
        if source.format == "application":
            if imports:
                from tfopt.model.imports import import_modules

                import_modules(imports)
            return _load_application(source, input_size)
        if input_size is not None:
            raise UsageError(
                f"--input-size is for app:NAME; {file_label(source.path)} has its own input",
                "leave it out, or set free dimensions with --input-shape",
            )
        return _load_saved_model(source) if source.format == "savedmodel" else _load_file(source, imports, unsafe)
