"""What facts may depend on beside the model: found without importing TensorFlow."""

from __future__ import annotations

import contextlib
import os
from importlib import metadata

from tfopt.diagnosis.installed import TENSORFLOWS
from tfopt.records.facts import Environment
from tfopt.wording import counted
from tfopt.workload.cpu import cpu_name

__all__ = ["environment", "environment_words"]


def environment(threads: int | None = None) -> Environment:
    """The environment that worker processes with so many threads run in (None: as many as there are processors)."""
    used = threads or len(os.sched_getaffinity(0))
    return Environment(
        tensorflow=_version(*TENSORFLOWS), keras=_version("keras"), cpu=f"{cpu_name()}, {counted(used, 'thread')}"
    )


def environment_words(environment: Environment) -> str:
    """`TensorFlow 2.21.0, Keras 3.15.0, NAME OF THE CPU, 2 threads`."""
    return f"TensorFlow {environment.tensorflow}, Keras {environment.keras}, {environment.cpu}"


def _version(*names: str) -> str:
    for name in names:
        with contextlib.suppress(metadata.PackageNotFoundError):
            return metadata.version(name)
    return "unknown"
