"""Machines that were measured already, in the user's cache folder.

The folder is `$TFOPT_CACHE_DIR`, else `$XDG_CACHE_HOME/tfopt`, else `~/.cache/tfopt`. It holds one file per
`Key`. Nothing that is wrong with it is an error.
"""

from __future__ import annotations

import hashlib
import math
import os
import platform
from collections.abc import Mapping
from dataclasses import astuple, dataclass, field
from pathlib import Path

import msgspec

from tfopt.errors import TfoptError
from tfopt.records.base import Note
from tfopt.records.machine import Machine
from tfopt.report.files import write_file

__all__ = ["Key", "cache_folder", "keep", "kept"]

_VARIABLE = "TFOPT_CACHE_DIR"
_SETTINGS = ("TF_ENABLE_ONEDNN", "TF_XLA_", "XLA_", "ONEDNN_", "DNNL_", "MKL_", "OMP_", "KMP_", "NVIDIA_TF32")
_LONGEST = 2**16  # bytes of a file that may be ours


@dataclass(frozen=True)
class Key:
    """What a machine's roofs depend on. `host` and `settings` are in the file's name alone."""

    cpu: str
    device: str
    threads: int
    tensorflow: str
    host: str = field(default_factory=platform.node)
    settings: tuple[tuple[str, str], ...] = field(default_factory=lambda: _settings(os.environ))

    @property
    def file(self) -> Path:
        """Where a machine of this key is kept."""
        digest = hashlib.sha256(repr(astuple(self)).encode(errors="surrogatepass")).hexdigest()
        return cache_folder() / f"machine-{digest[:16]}.json"


def _settings(environment: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """The variables that TensorFlow's libraries choose their kernels and threads by."""
    return tuple(sorted(item for item in environment.items() if item[0].startswith(_SETTINGS)))


def cache_folder() -> Path:
    """Where tfopt keeps what it need not find out twice. XDG voids a relative `XDG_CACHE_HOME`."""
    ours, users = os.environ.get(_VARIABLE), os.environ.get("XDG_CACHE_HOME", "")
    if ours:
        return Path(ours)
    return Path(users if os.path.isabs(users) else os.path.expanduser("~/.cache")) / "tfopt"


def kept(key: Key) -> Machine | None:
    """The machine that is kept under `key`; None where there is none, or what is there is damaged or another's."""
    try:
        if not key.file.is_file() or key.file.stat().st_size > _LONGEST:
            return None
        machine = msgspec.json.decode(key.file.read_bytes(), type=Machine)
    except (OSError, ValueError):  # msgspec's errors are ValueErrors
        return None
    rates = (*machine.peak_gflops.values(), machine.bandwidth_gb_per_s)
    sound = all(math.isfinite(rate) and rate > 0 for rate in rates)
    same = (machine.cpu, machine.device, machine.threads, machine.tensorflow) == astuple(key)[:4]
    return machine if sound and same else None


def keep(machine: Machine, key: Key) -> tuple[Note, ...]:
    """Keep `machine` under `key`; a note where that cannot be."""
    try:
        key.file.parent.mkdir(parents=True, exist_ok=True)
        write_file(key.file, msgspec.json.encode(machine) + b"\n", force=True)
    except (OSError, TfoptError) as error:
        reason = getattr(error, "message", None) or getattr(error, "strerror", None) or error
        message = f"this machine's roofs are measured anew each time, since they cannot be kept: {reason}"
        return (Note(message=message, hint=f"name a folder for them in {_VARIABLE}"),)
    return ()
