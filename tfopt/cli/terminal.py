"""What the terminal, or the pipe in its place, can show."""

from __future__ import annotations

import os
import shutil
from typing import IO

__all__ = ["wants_color", "width_of"]

_NARROWEST = 40


def wants_color(stream: IO[str] | None) -> bool:
    """Whether to colour what goes to `stream`: NO_COLOR, then FORCE_COLOR, then whether it is a terminal."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR", "0") not in ("", "0"):
        return True
    return _is_terminal(stream) and os.environ.get("TERM") != "dumb"


def width_of(stream: IO[str] | None) -> int | None:
    """The width of the terminal in cells; None for a pipe or file, where lines may be as long as they need."""
    return max(_NARROWEST, shutil.get_terminal_size().columns) if _is_terminal(stream) else None


def _is_terminal(stream: IO[str] | None) -> bool:
    return stream is not None and stream.isatty()
