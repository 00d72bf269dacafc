"""What Keras says while it loads or runs a model, as notes: its warnings hold names that strangers chose."""

from __future__ import annotations

import contextlib
import os
import re
import warnings
from collections.abc import Iterator

from tfopt.model.text import one_line
from tfopt.records import Note

__all__ = ["warnings_as_notes"]

# What Keras says of sound models, and nobody can act on.
_NOISE = re.compile(
    r"Do not pass an `input_shape`|Argument `input_length` is deprecated|Skipping variable loading for optimizer"
)
_LONGEST = 400


@contextlib.contextmanager
def warnings_as_notes(notes: list[Note]) -> Iterator[None]:
    """Keras's warnings become notes, each once, its noise goes, anybody else's warnings are passed on."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        # What libraries deprecate between each other is nothing the owner of a file can change.
        warnings.simplefilter("ignore", DeprecationWarning)
        yield
    for warning in caught:
        note = Note(message=f"Keras says: {one_line(warning.message, _LONGEST)}")
        if f"{os.sep}keras{os.sep}" not in warning.filename:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
        elif not _NOISE.search(note.message) and note not in notes:
            notes.append(note)
