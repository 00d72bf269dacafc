"""Running text for the terminal: phrases and words one after the other, on lines that fit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.cells import cell_len, chop_cells
from rich.text import Text

from tfopt.report.grid import shorten

__all__ = ["flow", "wrapped"]

_LEAST = 20  # cells of text beside what leads a line


def flow(phrases: Iterable[tuple[str, str]], between: str, width: int | None, *, indent: str = "") -> list[Text]:
    """Phrases with their styles, on a new line where the next would not fit. What is longer than a line is broken
    between its words; a word that is longer, which is a name, loses its middle."""
    lines: list[Text] = []
    broken = False
    for text, style in phrases:
        if lines and not broken and (width is None or lines[-1].cell_len + cell_len(between + text) <= width):
            lines[-1].append(between, "dim").append(text, style)
        else:
            parts = [Text.assemble(indent, (part, style)) for part in _parts(text, width, len(indent))]
            broken = len(parts) > 1
            lines += parts
    return lines


def _parts(text: str, width: int | None, indent: int) -> Iterable[str]:
    if width is None or cell_len(text) <= width - indent:
        return (text,)
    room = max(1, width - indent)
    return _filled(" ".join(shorten(word, room) for word in text.split(" ")), room)


def wrapped(text: str, lead: str, style: str, width: int | None) -> list[Text]:
    """A paragraph: `lead` before its first line, as many blanks before the others."""
    room = max(_LEAST, (width or 10**6) - len(lead))
    blank = " " * len(lead)
    return [
        Text.assemble((blank if at else lead, "yellow"), (part, style)) for at, part in enumerate(_filled(text, room))
    ]


def _filled(text: str, room: int) -> Iterator[str]:
    """Lines of at most `room` cells: broken between words, inside a word only where it is longer than a line."""
    line = ""
    for word in text.split(" "):
        for piece in chop_cells(word, room):
            longer = f"{line} {piece}" if line else piece
            if cell_len(longer) > room:
                yield line
                longer = piece
            line = longer
    yield line
