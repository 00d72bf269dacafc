"""What loading is tested with: a small model, and archives with another configuration."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tfopt.errors import TfoptError

__all__ = ["X", "assert_readable", "small_model", "with_config"]


def assert_readable(error: TfoptError) -> None:
    for line in (error.message, error.hint):
        assert line
        assert line.isprintable()
        assert len(line) < 500


def small_model() -> Any:
    inputs = keras.Input((5,), name="tokens", dtype="int32")
    x = keras.layers.LSTM(4, name="lstm")(keras.layers.Embedding(13, 4, name="embedding")(inputs))
    model = keras.Model(inputs, keras.layers.Dense(2, name="dense")(x), name="small")
    model.compile("adam", keras.losses.MeanSquaredError())
    return model


X = np.arange(10).reshape(2, 5) % 13


def with_config(path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """The archive with another configuration."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members["config.json"])
    change(config)
    members["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path
