"""What a command is doing while one waits for it: on standard error, alive on a terminal, quiet elsewhere.

Whoever works calls `progress(stage, done)`: a short phrase ("loading TensorFlow") and the fraction done, or None
where nobody knows. The display writes to a duplicate of the real standard error, so that libraries may be silenced by
redirecting file descriptor 2 while it runs.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from typing import TextIO

from tfopt.report.escape import one_line

__all__ = ["ProgressCallback", "silent", "watched"]

ProgressCallback = Callable[[str, float | None], None]


def silent(stage: str, done: float | None) -> None:
    """The progress of work that nobody watches."""


@contextlib.contextmanager
def watched(*, quiet: bool = False, verbose: bool = False, color: bool = True) -> Iterator[ProgressCallback]:
    """A callback that shows progress until the block ends.

    A live line on a terminal (with `verbose` it leaves a line per finished stage behind); elsewhere a plain line per
    stage if `verbose`; nothing if `quiet`.
    """
    if quiet or sys.stderr is None:
        yield silent
        return
    with _real_stderr() as stream:
        if stream.isatty() and os.environ.get("TERM") != "dumb":
            from tfopt.report.live import live  # rich is only worth importing for eyes

            with live(stream, verbose=verbose, color=color) as callback:
                yield callback
        else:
            yield _lines(stream) if verbose else silent


@contextlib.contextmanager
def _real_stderr() -> Iterator[TextIO]:
    try:
        number = os.dup(sys.stderr.fileno())
    except (OSError, AttributeError, ValueError):  # replaced by an object without a file, as test runners do
        yield sys.stderr
        return
    with open(number, "w", encoding=sys.stderr.encoding, errors="replace", buffering=1) as stream:
        yield stream


def _lines(stream: TextIO) -> ProgressCallback:
    """One plain line when a stage begins."""
    last = ""

    def callback(stage: str, done: float | None) -> None:
        nonlocal last
        if stage != last:
            stream.write(f"{one_line(stage)}\n")
            stream.flush()
            last = stage

    return callback
