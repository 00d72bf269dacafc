"""Shared by all tests: quiet TensorFlow, and where real models and traces lie."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import hypothesis
import pytest

from bench import strangers

# How long an example takes says nothing on a shared machine.
hypothesis.settings.register_profile("tfopt", deadline=None)
hypothesis.settings.load_profile("tfopt")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as for jobs in the background: tests send it to programs
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The machine is measured once per session, in whatever process, and the user's cache is left alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TFOPT_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


def _outside(what: Literal["models", "traces"]) -> Path:
    folder = strangers.folder(what)
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent: set {strangers.VARIABLES[what]} to the folder")
    return folder


@pytest.fixture(scope="session")
def real_models() -> Path:
    """The folder of models saved by strangers."""
    return _outside("models")


@pytest.fixture(scope="session")
def real_traces() -> Path:
    """The folder of traces recorded by strangers."""
    return _outside("traces")
