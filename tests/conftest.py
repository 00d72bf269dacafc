"""Shared by all tests: quiet TensorFlow, and where real models and traces lie."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

_ROOT = Path(__file__).resolve().parent.parent


def _outside(variable: str, default: str) -> Path:
    folder = Path(os.environ.get(variable, _ROOT / default))
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent: set {variable} to the folder")
    return folder


@pytest.fixture(scope="session")
def real_models() -> Path:
    """The folder of models saved by strangers."""
    return _outside("TFOPT_REAL_MODELS", "../shared/models")


@pytest.fixture(scope="session")
def real_traces() -> Path:
    """The folder of traces recorded by strangers."""
    return _outside("TFOPT_REAL_TRACES", "../shared/traces")
