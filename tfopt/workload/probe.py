"""What TensorFlow can do here, tried in a process of its own: whoever starts it may see it crash or hang.

Each trial gives one line of JSON on standard output when it begins (`{"stage": …}`) and one when it ends, with what it
found or the error. Nothing else goes there.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["STAGES", "probe"]


def probe(folder: str) -> None:
    """Try everything, and end this process; traces go to `folder`."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as channel:
        os.dup2(2, 1)  # what libraries print there must not get between our lines

        def say(**line: Any) -> None:
            channel.write(json.dumps(line) + "\n")
            channel.flush()

        for name, trial in STAGES.items():
            say(stage=name)
            started = time.perf_counter()
            try:
                found = trial(Path(folder))
            except BaseException as error:  # also SystemExit, of a package that ends its importer
                say(stage=name, error=f"{type(error).__name__}: {error}")
                if name == "import":
                    break
            else:
                say(stage=name, found={"seconds": time.perf_counter() - started, **found})
    os._exit(0)  # how TensorFlow takes itself down is not what is tried


def _import(folder: Path) -> dict[str, Any]:
    import keras
    import tensorflow as tf

    return {"tensorflow": tf.__version__, "keras": keras.__version__, "backend": keras.backend.backend()}


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
