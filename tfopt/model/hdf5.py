"""HDF5 files, judged from a safe distance: another process reads them first (see hdf5_probe)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfopt.errors import InputError
from tfopt.model.config import find_class, parse_config
from tfopt.model.text import one_line, quoted

__all__ = ["Hdf5Model", "Hdf5Weights", "check_weights", "read_hdf5", "refuse_code"]

_PROBE = Path(__file__).with_name("hdf5_probe.py")
# Seconds a sound file may take: a start, and a slow disk. No damaged file can hold anybody up for longer.
_START_S = 10.0
_BYTES_PER_S = 20e6

_AGAIN = "download or copy it again, or save the model again"


@dataclass(frozen=True)
class Hdf5Weights:
    """A readable HDF5 file: the bytes that its datasets declare."""

    declared_bytes: int


@dataclass(frozen=True)
class Hdf5Model:
    """A readable HDF5 file with a network in it."""

    config: dict[str, Any]
    keras_version: str | None
    compiled: bool
    declared_bytes: int


def _probe(path: Path, label: str) -> dict[str, Any]:
    """Everything the probe found in the file.

    Raises:
        InputError: the file cannot be read to its end, or holds what no Keras file holds.
    """
    limit_s = _START_S + path.stat().st_size / _BYTES_PER_S
    # -P: nothing beside the script, and nothing in the working directory, stands in for a library.
    command = [sys.executable, "-P", str(_PROBE), str(path.absolute())]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    try:
        done = subprocess.run(
            command, capture_output=True, stdin=subprocess.DEVNULL, timeout=limit_s, env=environment, check=False
        )
    except subprocess.TimeoutExpired:
        raise InputError(f"{label} is damaged HDF5: reading it does not end", _AGAIN) from None
    if done.returncode < 0:
        raise InputError(f"{label} is damaged HDF5: reading it crashes the HDF5 library", _AGAIN)
    try:
        answer: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        reason = one_line((done.stderr.decode("utf-8", "replace").strip().splitlines() or ["no answer"])[-1])
        raise InputError(f"{label} cannot be read as HDF5: {reason}", _AGAIN) from None
    if "refused" in answer:
        raise InputError(f"{label} is refused: {one_line(answer['refused'])}", "save the model again with model.save()")
    if "unreadable" in answer:
        raise InputError(f"{label} is truncated or damaged HDF5: {one_line(answer['unreadable'], 120)}", _AGAIN)
    found: dict[str, Any] = answer["found"]
    return found


def check_weights(path: Path, label: str) -> Hdf5Weights:
    """Reads the weights of an unpacked `.keras` file once, under limits.

    Raises:
        InputError: they are damaged, or declare more than they store.
    """
    return Hdf5Weights(_probe(path, label)["declared_bytes"])


def _not_a_model(found: dict[str, Any], label: str) -> InputError:
    members: list[str] = found["members"]
    if found["has_layer_names"] or {"layers", "_layer_checkpoint_dependencies", "vars"} & set(members):
        return InputError(
            f"{label} holds weights only, no network",
            "build the network in Python, call load_weights() with this file, then save it with model.save()",
        )
    held = quoted(members) if members else "nothing"
    return InputError(f"{label} is HDF5 but not a Keras model: it holds {held}", "save it with model.save()")


def read_hdf5(path: Path, label: str) -> Hdf5Model:
    """The network's configuration and what else the file says about itself.

    Raises:
        InputError: the file is damaged, or holds no network.
    """
    found = _probe(path, label)
    if found["model_config"] is None:
        raise _not_a_model(found, label)
    version = found["keras_version"]
    return Hdf5Model(
        config=parse_config(found["model_config"], label, "its attribute model_config"),
        keras_version=one_line(version, 30) if version else None,
        compiled=found["training_config"] is not None,
        declared_bytes=found["declared_bytes"],
    )


# Layers that run code from a file, and how to call one.
_CODE = {"Lambda": "its Lambda layer {}", "__lambda__": "a Lambda layer", "TFSMLayer": "its TFSMLayer {}"}


def refuse_code(config: dict[str, Any], label: str, class_name: str = "Lambda") -> None:
    """Refuses code inside a configuration: HDF5's `Lambda` layers, the zip format's `__lambda__` functions, and
    `TFSMLayer`, which loads a SavedModel from anywhere (older Keras versions do not refuse it themselves).

    Raises:
        InputError: there is one.
    """
    name = find_class(config, class_name)
    if name is not None:
        raise InputError(
            f"{label} holds code ({_CODE[class_name].format(name)}), which would run on this machine",
            "if you trust whoever made the file, pass --unsafe, which runs that code",
        )
