"""What TensorFlow and Keras say while they load or run a model, as notes: it holds names that strangers chose."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import warnings
from collections.abc import Iterator

from tfopt.model.text import one_line
from tfopt.records import Note

__all__ = ["said_as_notes"]

_LONGEST = 400
_LOGGERS = ("absl", "tensorflow")
# Who speaks, by the folder that its code is in.
_SPEAKERS = {"keras": "Keras", "tensorflow": "TensorFlow", "numpy": "NumPy", "h5py": "h5py"}
# What is said of sound files, and nobody can act on.
_NOISE = re.compile(
    r"Do not pass an `input_shape`|Argument `input_length` is deprecated|Skipping variable loading for optimizer"
    r"|compiled metrics have yet to be built|No training configuration found"
)


class _Kept(logging.Handler):
    """Keeps the messages of warnings and errors, without tracebacks, and the files that they come from."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[tuple[str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append((record.pathname, record.getMessage()))


@contextlib.contextmanager
def _logged() -> Iterator[list[tuple[str, str]]]:
    """What is logged meanwhile, kept from whoever else listens."""
    kept, loggers = _Kept(), [logging.getLogger(name) for name in _LOGGERS]
    before = [(logger, logger.handlers, logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.handlers, logger.propagate = [kept], False
    try:
        yield kept.said
    finally:
        for logger, handlers, propagate in before:
            logger.handlers, logger.propagate = handlers, propagate


def _speaker(file: str) -> str | None:
    return next((name for folder, name in _SPEAKERS.items() if f"{os.sep}{folder}{os.sep}" in file), None)


@contextlib.contextmanager
def said_as_notes(notes: list[Note]) -> Iterator[None]:
    """What the libraries warn of becomes notes, each once; noise goes, anybody else's warnings are passed on."""
    with _logged() as said, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        # What libraries deprecate between each other is nothing the owner of a file can change.
        warnings.simplefilter("ignore", DeprecationWarning)
        yield
    for warning in caught:
        if _speaker(warning.filename) is not None:
            said.append((warning.filename, str(warning.message)))
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    told = [(_speaker(file) or "TensorFlow", text) for file, text in said if not _NOISE.search(text)]
    lines = dict.fromkeys(f"{who} says: {one_line(text, _LONGEST)}" for who, text in told)
    notes.extend(note for line in lines if (note := Note(message=line)) not in notes)
