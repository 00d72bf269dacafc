"""Small things every message about a file needs: one line of text, and sizes a person can read."""

from __future__ import annotations

import re

from tfopt.report import escape
from tfopt.wording import listed

__all__ = ["human_bytes", "one_line", "quoted"]

# Colours and boldness, which libraries put into their messages.
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_UNITS = ("kB", "MB", "GB", "TB", "PB", "EB")


def one_line(text: object, limit: int = 200) -> str:
    """What a library or a file says, as one printable line of at most `limit` characters, without its colours."""
    return escape.one_line(_ANSI.sub("", str(text)), limit)


def quoted(names: list[str], most: int = 3) -> str:
    """The first `most` names, comma separated, and how many are left out: `a, b, c and 4 more`."""
    return listed([*(one_line(name, 60) for name in names[:most]), *names[most:]], most)


def human_bytes(size: int) -> str:
    """`size` in decimal units: `134 bytes`, `9.2 MB`."""
    if size < 1000:
        return "1 byte" if size == 1 else f"{size} bytes"
    value = float(size)
    for unit in _UNITS:
        value /= 1000
        if value < 999.95 or unit == _UNITS[-1]:
            break
    return f"{value:.1f} {unit}" if value < 1e6 else f"{value:.0e} {unit}"
