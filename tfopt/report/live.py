"""The live line of progress on a terminal: a spinner, the stage, a bar where a fraction is known, the time."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TextColumn, TimeElapsedColumn
from rich.progress_bar import ProgressBar
from rich.text import Text

from tfopt.report.escape import one_line
from tfopt.report.progress import ProgressCallback

__all__ = ["live"]


class _KnownFraction(ProgressColumn):
    """A bar, where there is something to fill it with."""

    _bar = BarColumn(bar_width=24)

    def render(self, task: Task) -> ProgressBar | Text:
        return self._bar.render(task) if task.total else Text()


@contextlib.contextmanager
def live(stream: TextIO, *, verbose: bool, color: bool) -> Iterator[ProgressCallback]:
    """A callback that keeps one line of `stream` up to date; the line is gone when the block ends."""
    console = Console(file=stream, force_terminal=True, no_color=not color, highlight=False, markup=False, emoji=False)
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), _KnownFraction(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False) as display:
        task = display.add_task("", total=None)
        stage, began = "", time.monotonic()

        def finish() -> None:
            if verbose and stage:
                console.print(f"{stage}  {time.monotonic() - began:.1f} s")

        def callback(name: str, done: float | None) -> None:
            nonlocal stage, began
            name = one_line(name)
            if name != stage:
                finish()
                stage, began = name, time.monotonic()
                display.reset(task, description=name)
            display.update(task, total=None if done is None else 1.0, completed=done or 0.0)

        yield callback
        finish()
