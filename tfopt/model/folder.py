"""Folders that are models: a SavedModel, or an unzipped `.keras` file."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tfopt.errors import InputError
from tfopt.model.archive import CONFIG, METADATA, WEIGHTS, WEIGHTS_NPZ, keras_version_of, refuse_npz
from tfopt.model.config import CONFIG_LIMIT_BYTES, parse_config
from tfopt.model.contents import check_not_stranger, head
from tfopt.model.text import quoted

__all__ = ["Folder", "read_folder"]

_GRAPHS = ("saved_model.pb", "saved_model.pbtxt")
_INDEX, _DATA = "variables/variables.index", "variables/variables.data-*"
_METADATA_LIMIT_BYTES = 2**20
_LFS_START = b"version https://git-lfs"

_COMPLETE = "copy the whole folder again, or save the model again"
_KINDS = "give a SavedModel folder (saved_model.pb and variables/), an unzipped .keras folder, or a .keras or HDF5 file"


@dataclass(frozen=True)
class Folder:
    """A folder that holds a model; a SavedModel has no configuration."""

    format: Literal["keras", "savedmodel"]
    size_bytes: int
    config: dict[str, Any] | None
    keras_version: str | None


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _check_part(folder: Path, file: Path, label: str) -> None:
    """Raises: InputError where a part of the model is empty or a Git LFS pointer."""
    start = head(file)
    if not start or start.startswith(_LFS_START):
        check_not_stranger(start, f"{label}/{file.relative_to(folder).as_posix()}", file.stat().st_size)


def _saved_model(folder: Path, label: str) -> Folder:
    for file in (*(folder / name for name in (*_GRAPHS, _INDEX)), *folder.glob(_DATA)):
        if file.is_file():
            _check_part(folder, file, label)
    has_index, has_data = (folder / _INDEX).is_file(), any(folder.glob(_DATA))
    if has_index != has_data:
        missing = _DATA if has_index else _INDEX
        raise InputError(f"{label} is an incomplete SavedModel: {missing} is missing", _COMPLETE)
    return Folder("savedmodel", _size(folder), None, None)


def _unzipped(folder: Path, label: str) -> Folder:
    if (folder / WEIGHTS_NPZ).exists():
        raise refuse_npz(label)
    if not (folder / WEIGHTS).is_file():
        raise InputError(f"{label} is an unzipped Keras model without weights: {WEIGHTS} is missing", _COMPLETE)
    for name in (CONFIG, WEIGHTS):
        _check_part(folder, folder / name, label)
    config, metadata = folder / CONFIG, folder / METADATA
    with config.open("rb") as stream:
        text = stream.read(CONFIG_LIMIT_BYTES + 1)
    version = None
    if metadata.is_file() and metadata.stat().st_size < _METADATA_LIMIT_BYTES:
        version = keras_version_of(metadata.read_bytes())
    return Folder("keras", _size(folder), parse_config(text, label), version)


def _holds_files(folder: Path) -> str:
    names = sorted(item.name + ("/" if item.is_dir() else "") for item in folder.iterdir())
    return quoted(names) if names else "nothing"


def _models_inside(folder: Path) -> list[str]:
    """Models one level below, so that the message can name them."""
    inside = [item.name for item in folder.iterdir() if re.search(r"\.(keras|h5|hdf5)$", item.name)]
    return sorted(inside + [file.parent.name for name in _GRAPHS for file in folder.glob(f"*/{name}")])


_READERS: dict[str, Callable[[Path, str], Folder]] = {
    **dict.fromkeys(_GRAPHS, _saved_model),
    CONFIG: _unzipped,
}


def read_folder(folder: Path, label: str) -> Folder:
    """What kind of model a folder holds; its graph and weights are not interpreted.

    Raises:
        InputError: it holds none, or an incomplete one.
    """
    for name, reader in _READERS.items():
        if (folder / name).is_file():
            return reader(folder, label)
    inside = _models_inside(folder)
    hint = f"give the model itself: {quoted([f'{label}/{name}' for name in inside])}" if inside else _KINDS
    raise InputError(f"{label} is a folder but not a model: it holds {_holds_files(folder)}", hint)
