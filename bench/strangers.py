"""Where models and traces of strangers lie: the folders that TFOPT_REAL_MODELS and TFOPT_REAL_TRACES name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

__all__ = ["VARIABLES", "folder"]

VARIABLES = {"models": "TFOPT_REAL_MODELS", "traces": "TFOPT_REAL_TRACES"}
_BESIDE = Path(__file__).resolve().parents[2] / "shared"


def folder(what: Literal["models", "traces"]) -> Path:
    """The folder of `what`; without the variable one beside the checkout, which need not exist."""
    return Path(os.environ.get(VARIABLES[what], _BESIDE / what))
