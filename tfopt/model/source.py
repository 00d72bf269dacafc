"""What the user's MODEL is, judged by content and without TensorFlow: a wrong file is answered at once."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tfopt.errors import InputError
from tfopt.model.archive import read_archive
from tfopt.model.config import saved_compiled
from tfopt.model.contents import check_not_stranger, head, is_hdf5
from tfopt.model.folder import read_folder
from tfopt.model.hdf5 import read_hdf5
from tfopt.model.steady import steady
from tfopt.model.text import one_line

__all__ = ["APPLICATION_PREFIX", "ModelSource", "file_label", "identify"]

APPLICATION_PREFIX = "app:"
Format = Literal["keras", "hdf5", "savedmodel", "application", "object"]

_GIVE = "give a .keras or HDF5 file, a SavedModel folder, or app:NAME such as app:MobileNetV2"


@dataclass(frozen=True)
class ModelSource:
    """Where a model comes from.

    `path` is what the user typed; `name` the file's stem or the network's name, fit to name a folder; `size_bytes`
    what the file or folder takes (None for networks without one); `keras_version` the version that saved it.
    `config` is the network as the file describes it (None for SavedModels and applications), `compiled` whether the
    file carries a loss and optimizer, `declared_bytes` the size of an HDF5 file's weights once read.
    """

    path: str
    name: str
    format: Format
    size_bytes: int | None
    keras_version: str | None
    compiled: bool = False
    declared_bytes: int | None = None
    config: dict[str, Any] | None = field(default=None, repr=False, compare=False)


def file_label(path: str) -> str:
    """The short name of a file or folder in messages: its last part, on one line."""
    return one_line(Path(path).name or path, 80)


def _folder_name(path: Path) -> str:
    """A name that a folder can have: the stem without path separators, control characters or leading dots."""
    stem = path.resolve().name if path.is_dir() else path.stem
    return re.sub(r"[\x00-\x1f\x7f/\\:]", "_", stem).lstrip(".").strip() or "model"


def _application(model: str) -> ModelSource:
    name = model.removeprefix(APPLICATION_PREFIX)
    if not re.fullmatch(r"\w+", name):
        raise InputError(f"{one_line(model, 60)} names no network", "name one of keras.applications: app:MobileNetV2")
    return ModelSource(model, name, "application", None, None)


def _missing(path: Path) -> InputError:
    """No such file: with the nearest name beside it, where there is one."""
    folder = path.parent
    if path.is_symlink():
        return InputError(f"{one_line(path)} is a link that leads nowhere: {one_line(os.readlink(path), 80)}", _GIVE)
    try:
        near = difflib.get_close_matches(path.name, os.listdir(folder), n=1, cutoff=0.6)
    except OSError:
        return InputError(f"no such file: {one_line(path)} (its folder does not exist)", _GIVE)
    hint = f"did you mean {one_line(folder / near[0])}?" if near else _GIVE
    return InputError(f"no such file: {one_line(path)}", hint)


def _zip(path: Path, label: str, model: str, size: int) -> ModelSource:
    archive = read_archive(path, label)
    return ModelSource(
        model,
        _folder_name(path),
        "keras",
        size,
        archive.keras_version,
        compiled=saved_compiled(archive.config),
        config=archive.config,
    )


def _hdf5(path: Path, label: str, model: str, size: int) -> ModelSource:
    found = read_hdf5(path, label)
    return ModelSource(
        model,
        _folder_name(path),
        "hdf5",
        size,
        found.keras_version,
        compiled=found.compiled,
        declared_bytes=found.declared_bytes,
        config=found.config,
    )


def _folder(path: Path, label: str, model: str) -> ModelSource:
    found = read_folder(path, label)
    return ModelSource(
        model,
        _folder_name(path),
        found.format,
        found.size_bytes,
        found.keras_version,
        compiled=found.config is not None and saved_compiled(found.config),
        config=found.config,
    )


def _file(path: Path, label: str, model: str) -> ModelSource:
    if not path.is_file():
        raise InputError(f"{label} is not a regular file", _GIVE)
    size = path.stat().st_size
    start = head(path)
    check_not_stranger(start, label, size)
    read: Callable[[Path, str, str, int], ModelSource] = _hdf5 if is_hdf5(start) else _zip
    return read(path, label, model, size)


def identify(model: str) -> ModelSource:
    """What `model` (a path, or `app:NAME`) is; its structure is checked, nothing of it is run.

    A file costs milliseconds, HDF5 a fraction of a second (another process reads it first).

    Raises:
        InputError: there is no such file, or it is not a model that can be loaded.
    """
    if model.startswith(APPLICATION_PREFIX):
        return _application(model)
    if re.match(r"[a-z][a-z0-9+.-]+://", model):
        raise InputError(f"{one_line(model, 80)} is an address, not a file", "download the file, then give its path")
    path, label = Path(model), file_label(model)
    try:
        if not model or not path.exists():
            raise _missing(path) if model else InputError("no model was given", _GIVE)
        with steady(path):
            return _folder(path, label, model) if path.is_dir() else _file(path, label, model)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{label} cannot be read: {one_line(reason)}", _GIVE) from None
