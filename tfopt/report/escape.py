"""Names come from files that strangers wrote: the one place that makes them harmless for each format.

A layer may be called `=cmd()`, hold an escape sequence that repaints the terminal, a `|` that breaks a table or a
character that reverses the reading direction. Here such names stay readable and complete, and stop acting. Markup of
the rich library needs no escaping: names are only ever put into `rich.text.Text`, which does not read markup.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = [
    "csv_cell",
    "csv_list",
    "exact",
    "from_csv_cell",
    "from_csv_list",
    "from_exact",
    "markdown_code",
    "markdown_prose",
    "one_line",
    "visible",
]

# What a spreadsheet takes for the start of a formula (OWASP, "CSV injection"; with the full-width forms), and the
# quote that defuses it: quoting the quote as well keeps the mapping reversible.
_FORMULA_STARTS = tuple("=+-@＝＋－＠'")
_ESCAPE = re.compile(r"\\(?:\\|[nrt]|x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})")
_MARKDOWN = re.compile(r"([\\`*_\[\]<>|~&$#])")


def _code_point(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def visible(text: str) -> str:
    """`text` with everything that does not print written out: escape sequences, line ends, bidi controls."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _code_point(c) for c in text)


def exact(text: str, reserved: str = "") -> str:
    """`text` as printable characters, none of them `reserved`, that `from_exact` turns into the same text again.

    Like `visible`, but where something had to be written out, or looks as if it had been, backslashes are doubled.
    """
    if text.isprintable() and not _ESCAPE.search(text) and not any(c in reserved for c in text):
        return text
    return "".join(
        f"\\x{ord(c):02x}" if c in reserved else c if c.isprintable() and c != "\\" else _code_point(c) for c in text
    )


def from_exact(shown: str) -> str:
    """The text that `exact` was given."""
    return _ESCAPE.sub(lambda found: found[0].encode("ascii").decode("unicode_escape"), shown)


def one_line(text: str, limit: int | None = None) -> str:
    """`text` as one printable line: runs of blanks and line ends become one space, the rest as in `visible`.

    Where it has more than `limit` characters, a `…` takes the place of its middle.
    """
    line = visible(" ".join(text.split()))
    if limit is None or len(line) <= limit:
        return line
    return f"{line[: limit // 2]}…{line[len(line) - (limit - limit // 2 - 1) :]}"


def csv_cell(text: str) -> str:
    """`text` as a CSV cell that no spreadsheet runs; `from_csv_cell` gives the exact text back."""
    return _defused(exact(text))


def csv_list(texts: Iterable[str]) -> str:
    """Several texts as one cell, with `;` between them; a `;` of their own is written as its code."""
    return _defused(";".join(exact(text, ";") for text in texts))


def _defused(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA_STARTS) else cell


def from_csv_cell(cell: str) -> str:
    """The text that `csv_cell` was given."""
    return from_exact(cell.removeprefix("'"))


def from_csv_list(cell: str) -> list[str]:
    """The texts that `csv_list` was given."""
    return [from_exact(part) for part in cell.removeprefix("'").split(";")] if cell else []


def markdown_code(text: str) -> str:
    """`text` as a code span that survives inside a table cell: nothing in it is a mention, a link or HTML."""
    if not text:
        return ""
    shown = exact(text)
    fence = "`" * (max((len(run) for run in re.findall("`+", shown)), default=0) + 1)
    pad = " " if shown[0] in "` " or shown[-1] in "` " else ""
    return f"{fence}{pad}{shown}{pad}{fence}".replace("|", r"\|")


def markdown_prose(text: str) -> str:
    """`text` as plain words in Markdown, on one line."""
    return _MARKDOWN.sub(r"\\\1", one_line(text))
