"""What all screens are made of: phrases that flow, remarks, and lines with or without colour."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterable, Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from tfopt.records.base import Note
from tfopt.report.escape import one_line

__all__ = ["encode", "flow", "notes"]


def encode(sections: Iterable[Sequence[Text]], color: bool) -> str:
    """Sections of lines with an empty line between them, with terminal colours only where `color` asks for them."""
    lines = [line for section in sections if section for line in (*section, Text())][:-1]
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


def notes(remarks: Iterable[Note], width: int | None) -> list[Text]:
    """Remarks, each with its hint below."""
    lines = []
    for note in remarks:
        lines += _wrapped(one_line(note.message), "  ! ", "", width)
        lines += _wrapped(one_line(note.hint), "    ", "dim", width) if note.hint else []
    return lines


def _wrapped(text: str, lead: str, style: str, width: int | None) -> list[Text]:
    room = max(20, (width or 10**6) - len(lead))
    parts = textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False) or [""]
    starts = [lead, *[" " * len(lead)] * (len(parts) - 1)]
    return [Text.assemble((start, "yellow"), (part, style)) for start, part in zip(starts, parts, strict=True)]


def flow(phrases: Iterable[tuple[str, str]], between: str, width: int | None, *, indent: str = "") -> list[Text]:
    """Phrases one after the other, on a new line where the next one would not fit."""
    lines: list[Text] = []
    for text, style in phrases:
        joined = lines and (width is None or lines[-1].cell_len + cell_len(between + text) <= width)
        if not joined:
            lines.append(Text(indent))
        else:
            lines[-1].append(between, "dim")
        lines[-1].append(text, style)
    return lines
