"""What TensorFlow can do here, tried stage by stage in a worker process: whoever starts it may see it crash or hang."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from tfopt.model.text import one_line
from tfopt.workload.workers.served import served

__all__ = ["STAGES", "Began", "Message", "Outcome", "Task"]

_MOST = 500  # characters of an error


class Task(msgspec.Struct, frozen=True):
    """Try everything; traces go to `folder`."""

    folder: str


class Began(msgspec.Struct, frozen=True, tag=True):
    """A stage begins."""

    stage: str


class Outcome(msgspec.Struct, frozen=True, tag=True):
    """How a stage ended: with what it found, or with an error."""

    stage: str
    found: dict[str, Any] = {}
    error: str = ""


Message = Began | Outcome


def probe(task: Task, say: Callable[[Message], None]) -> None:
    """Try everything; nothing, where TensorFlow cannot even be imported."""
    for name, trial in STAGES.items():
        say(Began(name))
        started = time.perf_counter()
        try:
            found = trial(Path(task.folder))
        except BaseException as error:  # also SystemExit, of a package that ends its importer
            say(Outcome(name, error=f"{type(error).__name__}: {one_line(error, _MOST)}"))
            if name == "import":
                break
        else:
            say(Outcome(name, {"seconds": time.perf_counter() - started, **found}))


def _import(folder: Path) -> dict[str, Any]:
    import keras
    import tensorflow as tf

    return {"tensorflow": tf.__version__, "keras": keras.__version__}


def _devices(folder: Path) -> dict[str, Any]:
    import tensorflow as tf

    build = tf.sysconfig.get_build_info()
    gpus = tf.config.list_physical_devices("GPU")
    return {
        "gpus": [tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name) for gpu in gpus],
        "cuda": str(build.get("cuda_version", "")) if build.get("is_cuda_build") else None,
        "rocm": bool(build.get("is_rocm_build")),
    }


def _xla(folder: Path) -> dict[str, Any]:
    import tensorflow as tf

    compiled = tf.function(lambda x: tf.matmul(x, x) + x, jit_compile=True)
    return {"result": float(compiled(tf.eye(4))[0, 0])}


def _trace(folder: Path) -> dict[str, Any]:
    import tensorflow as tf

    from tfopt.workload.capture import capture

    step = tf.function(lambda x: tf.reduce_sum(tf.nn.relu(tf.matmul(x, x))))
    x = tf.ones((64, 64))
    step(x)
    captured = capture(lambda: step(x), 1, folder)
    return {"file": str(captured.file), "every_op": captured.every_op, "bytes": captured.file.stat().st_size}


STAGES: dict[str, Callable[[Path], dict[str, Any]]] = {
    "import": _import,
    "devices": _devices,
    "trace": _trace,
    "xla": _xla,  # last: with flags that it does not know XLA ends the process
}


if __name__ == "__main__":
    served(Task, probe)
