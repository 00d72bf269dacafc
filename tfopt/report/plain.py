"""The screen's own signs for terminals that know only ASCII: bars and branches stay readable there."""

from __future__ import annotations

import codecs

__all__ = ["encode"]

_SIGNS = {
    **dict.fromkeys("█▉▊▋▌▍", "#"),
    **dict.fromkeys("▎▏", "."),
    **dict(zip("▁▂▃▄▅▆▇", "__--==#", strict=True)),  # of a curve: low, middle, high
    "├": "|",
    "│": "|",
    "└": "`",
    "─": "-",
    "–": "-",
    "—": "-",
    "×": "x",
    "·": "|",
    "…": "~",
    "→": ">",
    "≥": ">",
    "≤": "<",
}  # one for one, so that columns stay columns


def encode(text: str, encoding: str) -> bytes:
    """`text` in `encoding`: signs that it lacks become their ASCII likeness, other characters `?`."""
    return text.encode(encoding, "tfopt.plain")


def _likeness(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(_SIGNS.get(sign, "?") for sign in error.object[error.start : error.end]), error.end


codecs.register_error("tfopt.plain", _likeness)
