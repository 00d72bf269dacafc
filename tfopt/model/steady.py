"""A file that changes while it is read is neither its old self nor its new one: said, whatever reading it gave."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from tfopt.errors import InputError
from tfopt.model.text import one_line

__all__ = ["steady"]

_AGAIN = "wait until it is written, then try again"


@contextlib.contextmanager
def steady(path: str | os.PathLike[str]) -> Iterator[None]:
    """Raises InputError if the file or folder `path` is another one, or was written to, when the block ends."""
    place = Path(path)
    before = _state(place)
    try:
        yield
    except Exception as error:
        if _state(place) != before:
            raise _changed(path) from error
        raise
    if _state(place) != before:
        raise _changed(path)


def _state(path: Path) -> list[tuple[str, int, int, int]]:
    """Each file's name, identity, size and time of writing; of a folder those that a SavedModel has."""
    files = [path, *path.glob("*"), *path.glob("variables/*")] if path.is_dir() else [path]
    return sorted(state for file in files if (state := _file_state(file)) is not None)


def _file_state(file: Path) -> tuple[str, int, int, int] | None:
    try:
        found = file.stat()
    except (OSError, ValueError):
        return None
    return str(file), found.st_ino, found.st_size, found.st_mtime_ns


def _changed(path: str | os.PathLike[str]) -> InputError:
    return InputError(f"{one_line(os.fspath(path))} changed while it was read", _AGAIN)
