"""What all screens are made of: remarks, and lines with or without colour."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.text import Text

from tfopt.records.base import Note
from tfopt.report.escape import one_line
from tfopt.report.flow import wrapped

__all__ = ["encode", "notes"]

# What GitHub's runner takes for a command in whatever a job prints: in a line's beginning, or anywhere in it.
_COMMAND = re.compile(r"^\s*(:)(?=:)|#(#)(?=\[)")
_LONGEST_NOTE = 1000  # characters; a name in a note may have thousands


def encode(sections: Iterable[Sequence[Text]], color: bool) -> str:
    """Sections of lines with an empty line between them, with terminal colours only where `color` asks for them."""
    lines = [_inert(line) for section in sections if section for line in (*section, Text())][:-1]
    for line in lines:
        line.rstrip()
    if not color:
        return "".join(f"{line.plain}\n" for line in lines)
    # The 16 colours follow the terminal's own theme; a wide console, because the lines fit already.
    file = io.StringIO()
    console = Console(
        file=file, force_terminal=True, color_system="standard", no_color=False, legacy_windows=False, width=100_000
    )
    for line in lines:
        console.print(line, soft_wrap=True, highlight=False)
    return file.getvalue()


def _inert(line: Text) -> Text:
    """`line`, with a sign written out where a name from a file would make it a command."""
    for found in reversed(list(_COMMAND.finditer(line.plain))):
        at = found.start(found.lastindex or 0)
        line = Text.assemble(line[:at], f"\\x{ord(line.plain[at]):02x}", line[at + 1 :])
    return line


def notes(remarks: Iterable[Note], width: int | None) -> list[Text]:
    """Remarks, each with its hint below."""
    lines = []
    for note in remarks:
        lines += wrapped(one_line(note.message, _LONGEST_NOTE), "  ! ", "", width)
        lines += wrapped(one_line(note.hint, _LONGEST_NOTE), "    ", "dim", width) if note.hint else []
    return lines
