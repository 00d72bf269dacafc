"""Temporary folders that never outlive the process."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tfopt.errors import RunFailed
from tfopt.undo import undone

__all__ = ["scratch_folder", "scratch_name", "temporary_folder"]


def scratch_name() -> str:
    """A name that nobody else has, hidden from listings."""
    return f".tfopt-{os.urandom(8).hex()}.tmp"


@contextlib.contextmanager
def scratch_folder(parent: Path, mode: int = 0o777) -> Iterator[Path]:
    """A new folder in `parent`, gone when the block ends. Raises OSError where `parent` cannot hold it."""
    folder = parent / scratch_name()
    with undone(lambda: shutil.rmtree(folder, ignore_errors=True)):
        folder.mkdir(mode)
        yield folder


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """A private folder where temporary files go (TMPDIR), gone when the block ends. Raises RunFailed without one."""
    with contextlib.ExitStack() as stack:
        try:
            folder = stack.enter_context(scratch_folder(Path(tempfile.gettempdir()), 0o700))
        except OSError as error:
            raise RunFailed(f"no place for temporary files: {error.strerror}", "name a folder in TMPDIR") from error
        yield folder
