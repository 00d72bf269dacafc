"""Writing a file whole or not at all, and never over another one unasked."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from tfopt.errors import RunFailed, UsageError
from tfopt.scratch import scratch_name
from tfopt.undo import undone

__all__ = ["check_target", "move_file", "write_file"]


def check_target(path: Path, *, force: bool = False) -> None:
    """UsageError where `write_file` could not write `path`: cheap to ask before hours of work."""
    try:
        _check(path, force)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror or error}", "choose another name") from error


def _check(path: Path, force: bool) -> None:
    folder = path.parent
    if not folder.is_dir():
        raise UsageError(f"cannot write {path}: the folder {folder} does not exist", f"create it: mkdir -p {folder}")
    if path.is_dir():
        raise UsageError(f"cannot write {path}: it is a folder", "name a file in it")
    if not os.access(folder, os.W_OK):
        raise UsageError(f"cannot write {path}: no permission to write in {folder}", "choose another folder")
    if path.exists() and not force:
        raise UsageError(f"{path} exists", "add --force to overwrite it, or choose another name")


def write_file(path: Path, content: bytes, *, force: bool = False) -> None:
    """Write `content` to `path` through a temporary file beside it, so that no reader ever sees half of it.

    UsageError where the target is not acceptable (see `check_target`), RunFailed where writing fails, for example
    because the disk is full; an existing file then keeps its content.
    """
    check_target(path, force=force)
    with _failure_named(path):
        temporary = _target(path).parent / scratch_name()
        with undone(lambda: temporary.unlink(missing_ok=True)):
            temporary.write_bytes(content)
            _move(temporary, path, force)


def move_file(temporary: Path, path: Path, *, force: bool = False) -> None:
    """Give a finished file on the same file system the name `path`. Raises what `write_file` does."""
    check_target(path, force=force)
    with _failure_named(path):
        _move(temporary, path, force)


def _target(path: Path) -> Path:
    return Path(os.path.realpath(path))  # a link keeps pointing to the file


def _move(temporary: Path, path: Path, force: bool) -> None:
    if force:
        os.replace(temporary, _target(path))
    else:
        _move_to_new(temporary, _target(path))


def _move_to_new(temporary: Path, target: Path) -> None:
    """Move without replacing: linking fails where renaming would overwrite a file made in the meantime."""
    try:
        os.link(temporary, target)
    except FileExistsError:
        raise UsageError(f"{target} exists", "add --force to overwrite it, or choose another name") from None
    except OSError:  # a file system without hard links
        os.replace(temporary, target)


@contextlib.contextmanager
def _failure_named(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise RunFailed(f"cannot write {path}: {reason}", "make room or choose another place") from error
