"""Keras's configuration file, read without Keras: importing that already brings up the backend which it names."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

__all__ = ["keras_file", "keras_path"]


def keras_path() -> Path:
    """Where keras.json would lie, as keras/src/backend/config.py has it."""
    home = os.path.expanduser("~")
    usual = os.path.join(home if os.access(home, os.W_OK) else "/tmp", ".keras")
    return Path(os.path.expanduser(os.path.join(os.environ.get("KERAS_HOME", usual), "keras.json")))


def keras_file() -> dict[str, Any]:
    """What stands in keras.json; {} where there is none, or none that can be read."""
    try:
        settings = json.loads(keras_path().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return settings if isinstance(settings, dict) else {}
