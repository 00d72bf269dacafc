"""The live line of progress on a terminal: a spinner, the stage, a bar where a fraction is known, the time."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TextColumn, TimeElapsedColumn
from rich.progress_bar import ProgressBar
from rich.text import Text

from tfopt.report.escape import one_line
from tfopt.report.progress import ProgressCallback
from tfopt.undo import undone

__all__ = ["live"]

_LONGEST = 40  # characters of a stage's name
_PERIOD = 0.1  # seconds between two drawings of the line


class _KnownFraction(ProgressColumn):
    """A bar, where there is something to fill it with."""

    _bar = BarColumn(bar_width=24)

    def render(self, task: Task) -> ProgressBar | Text:
        return self._bar.render(task) if task.fields["known"] else Text()


@contextlib.contextmanager
def live(stream: TextIO, *, verbose: bool, color: bool) -> Iterator[ProgressCallback]:
    """A callback that keeps one line of `stream` up to date; the line is gone when the block ends.

    While the fraction done is unknown a thread keeps the spinner turning. Where the caller tells it, the line is only
    drawn inside the callback: a measurement must not share the processor with its own progress bar.
    """
    console = Console(file=stream, force_terminal=True, no_color=not color, highlight=False, markup=False, emoji=False)
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), _KnownFraction(), TimeElapsedColumn())
    bar = Progress(
        *columns, console=console, transient=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False
    )
    bar.start()
    with undone(bar.stop), _turning(bar) as unknown:
        task = bar.add_task("", total=1.0, known=False)
        stage, began, drawn = "", time.monotonic(), 0.0

        def finish() -> None:
            if verbose and stage:
                console.print(f"{stage}  {time.monotonic() - began:.1f} s")

        def callback(name: str, done: float | None) -> None:
            nonlocal stage, began, drawn
            name, now = one_line(name, _LONGEST), time.monotonic()
            if name != stage:
                finish()
                stage, began, drawn = name, now, 0.0
                bar.reset(task, description=name, known=done is not None)
            bar.update(task, known=done is not None, completed=done or 0.0)
            (unknown.set if done is None else unknown.clear)()
            if now - drawn >= _PERIOD:
                bar.refresh()
                drawn = now

        yield callback
        finish()


@contextlib.contextmanager
def _turning(display: Progress) -> Iterator[threading.Event]:
    """Redraw `display` from a thread, as long as the event it gives is set."""
    unknown, ended = threading.Event(), threading.Event()

    def redraw() -> None:
        while not ended.wait(_PERIOD):
            if unknown.is_set():
                display.refresh()

    thread = threading.Thread(target=redraw, name="tfopt-progress", daemon=True)
    thread.start()
    try:
        yield unknown
    finally:
        ended.set()
        thread.join()
