"""What libraries say while a file is loaded: notes for its owner, nothing on the terminal."""

from __future__ import annotations

import logging
import warnings

import pytest

from tfopt.model.said import said_as_notes
from tfopt.records import Note


def _messages(notes: list[Note]) -> list[str]:
    return [note.message for note in notes]


def test_logged_warnings_become_notes(capfd: pytest.CaptureFixture[str]) -> None:
    notes: list[Note] = []
    logger = logging.getLogger("absl")
    before = logger.handlers, logger.propagate
    with said_as_notes(notes):
        for _ in range(2):
            logger.warning("the optimizer's state\nis gone")
        logger.info("hello")
        try:
            raise ValueError("inner")
        except ValueError:
            logger.exception("odd fingerprint")
        logger.warning("the compiled metrics have yet to be built")
    assert _messages(notes) == ["TensorFlow says: the optimizer's state is gone", "TensorFlow says: odd fingerprint"]
    assert capfd.readouterr() == ("", "")
    assert (logger.handlers, logger.propagate) == before


def test_warnings_of_libraries_become_notes_and_others_stay_warnings() -> None:
    notes: list[Note] = []
    with warnings.catch_warnings(record=True) as passed_on:
        warnings.simplefilter("always")
        with said_as_notes(notes):
            warnings.warn_explicit("casts complex", UserWarning, "/lib/site-packages/tensorflow/python/ops.py", 1)
            warnings.warn_explicit("odd layer", UserWarning, "/lib/site-packages/keras/src/layer.py", 1)
            warnings.warn_explicit("Do not pass an `input_shape`", UserWarning, "/lib/keras/src/layer.py", 2)
            warnings.warn_explicit("old", DeprecationWarning, "/lib/numpy/x.py", 1)
            warnings.warn_explicit("my own", UserWarning, "/home/me/layers.py", 1)
    assert _messages(notes) == ["TensorFlow says: casts complex", "Keras says: odd layer"]
    assert [str(warning.message) for warning in passed_on] == ["my own"]
