"""Where a report goes: standard output, files, or both."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tfopt.cli.terminal import wants_color, width_of
from tfopt.errors import RunFailed, UsageError

if TYPE_CHECKING:
    from tfopt.records.base import Record
    from tfopt.report import Format
    from tfopt.report.view import By

__all__ = ["Delivery", "discard_stdout", "flush_stdout"]


@dataclass(frozen=True)
class Delivery:
    """What the options on output asked for; made before the work starts, so that bad wishes fail early."""

    by: By
    depth: int | None
    top: int | None
    format_name: str
    outputs: tuple[Path, ...]
    force: bool
    quiet: bool

    @classmethod
    def checked(cls, **options: Any) -> Delivery:
        """The delivery for these options; UsageError where a file cannot be written or has no known format."""
        from tfopt.report import format_of
        from tfopt.report.files import check_target

        delivery = cls(**options)
        for path in delivery.outputs:
            format_of(str(path))
            check_target(path, force=delivery.force)
            if delivery.outputs.count(path) > 1:
                raise UsageError(f"{path} is named twice", "give every -o its own file")
        return delivery

    @property
    def needs_trace(self) -> bool:
        """Whether a format that was asked for is made from the run's trace."""
        return any(format.needs_trace for format in self._formats())

    def check_kind(self, kind: str = "") -> None:
        """UsageError where a format that was asked for does not show records of this kind."""
        for format in self._formats():
            if format.only not in ("", kind):
                raise format.refuse()

    def _formats(self) -> list[Format]:
        from tfopt.report import FORMATS, format_of

        shown = [] if self.quiet and self.outputs else [FORMATS[self.format_name]]
        return [*shown, *(format_of(str(path)) for path in self.outputs)]

    def deliver(self, record: Record, run_dir: str | Path | None) -> None:
        """Write the files first: a reader that hangs up on standard output must not cost them, nor they the answer."""
        folder = None if run_dir is None else str(run_dir)
        try:
            for path in self.outputs:
                self._write(path, record, folder)
        finally:
            if not (self.quiet and self.outputs):
                self._show(record, folder)

    def _write(self, path: Path, record: Record, folder: str | None) -> None:
        from tfopt.report import format_of, units
        from tfopt.report.files import write_file

        content = self._text(format_of(str(path)), record, folder, screen=False).encode("utf-8", "replace")
        write_file(path, content, force=self.force)
        self._remark(f"wrote {path} ({units.size(len(content))})")

    def _show(self, record: Record, folder: str | None) -> None:
        from tfopt.report import FORMATS

        format = FORMATS[self.format_name]
        named = None if self.quiet and not format.needs_trace else folder
        _write_stdout(self._text(format, record, named, screen=True), utf8=format.name != "table")
        if not format.carries_notes:
            for note in getattr(record, "notes", ()):
                self._remark(f"note: {note.message}" + (f" ({note.hint})" if note.hint else ""))

    def _text(self, format: Format, record: Record, run_dir: str | None, *, screen: bool) -> str:
        from tfopt.report.view import View

        width, color = (width_of(sys.stdout), wants_color(sys.stdout)) if screen else (None, False)
        return format.render(record, View(self.by, self.depth, self.top, width, color, run_dir))

    def _remark(self, text: str) -> None:
        from tfopt.report.escape import one_line

        if not self.quiet:
            click.echo(one_line(text), err=True)


def _write_stdout(text: str, *, utf8: bool) -> None:
    """Data is always UTF-8; a table goes in the terminal's own encoding, with a likeness for signs that it lacks."""
    from tfopt.report.plain import encode

    if sys.stdout is None:
        return
    encoding = "utf-8" if utf8 else sys.stdout.encoding or "utf-8"
    stream = getattr(sys.stdout, "buffer", None)
    if stream is None:  # replaced by an object that takes text only
        sys.stdout.write(text)
    else:
        sys.stdout.flush()
        _guarded(lambda: stream.write(encode(text, encoding)))
    flush_stdout()


def flush_stdout() -> None:
    """Flush standard output; RunFailed where it cannot take more, BrokenPipeError where nobody reads it."""
    if sys.stdout is not None:
        _guarded(sys.stdout.flush)


def _guarded(write: Callable[[], object]) -> None:
    try:
        write()
    except BrokenPipeError:
        raise
    except OSError as error:
        discard_stdout()
        raise RunFailed(f"cannot write to standard output: {error.strerror or error}", "make room") from error


def discard_stdout() -> None:
    """Let what is still buffered go nowhere, so that the interpreter's last flush stays silent."""
    with contextlib.suppress(OSError, ValueError, AttributeError), open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
