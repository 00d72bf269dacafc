"""Small things every message about a file needs: one line of text, and sizes a person can read."""

from __future__ import annotations

import re

__all__ = ["human_bytes", "one_line", "quoted"]

# Colours and boldness, which libraries put into their messages.
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_UNITS = ("kB", "MB", "GB", "TB", "PB", "EB")


def one_line(text: object, limit: int = 200) -> str:
    """`text` as one printable line of at most `limit` characters (files choose their words: no control characters)."""
    words = "".join(char if char.isprintable() else " " for char in _ANSI.sub("", str(text)[: 20 * limit])).split()
    line = " ".join(words)
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def quoted(names: list[str], most: int = 3) -> str:
    """The first `most` names, comma separated, and how many are left out: `a, b, c and 4 more`."""
    shown = ", ".join(one_line(name, 60) for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


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
