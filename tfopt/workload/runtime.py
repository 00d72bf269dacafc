"""Bring TensorFlow up: quietly, seeded, with a set number of threads."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import warnings
from collections.abc import Iterator
from typing import Any

from tfopt.errors import RunFailed, UsageError
from tfopt.workload.keras_file import keras_file, keras_path

__all__ = ["ends_tensorflow", "import_tensorflow", "quiet_stderr", "set_threads", "threads_used"]


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Send what native code writes to file descriptor 2 to nowhere: TensorFlow's start-up lines obey no log level."""
    try:
        saved = os.dup(2)
    except OSError:  # a closed stderr has nothing to keep quiet
        yield
        return
    sink = os.open(os.devnull, os.O_WRONLY)
    try:
        sys.stderr.flush()
        os.dup2(sink, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(sink)


def import_tensorflow() -> Any:
    """Import TensorFlow with Keras on its TensorFlow backend, without their noise. Returns the module.

    Garbage collection is held back meanwhile, which saves a tenth of the import's time.
    """
    if "tensorflow" in sys.modules:
        return sys.modules["tensorflow"]
    _check_backend()
    _check_threads()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    collecting = gc.isenabled()
    gc.disable()
    try:
        with quiet_stderr(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import keras  # noqa: F401
            import tensorflow
    except ImportError as error:
        raise RunFailed(f"TensorFlow cannot be imported: {error}", "install it again: pip install -U tfopt") from error
    finally:
        if collecting:
            gc.enable()
            gc.freeze()
    return tensorflow


def _check_backend() -> None:
    """UsageError where Keras would take another backend: its variable wins over its file."""
    variable = os.environ.get("KERAS_BACKEND")
    backend = variable or keras_file().get("backend", "tensorflow")
    if backend == "tensorflow":
        return
    if variable:
        where, mend = "KERAS_BACKEND is", "unset KERAS_BACKEND, or set it to tensorflow"
    else:
        where, mend = f"the backend in {keras_path()} is", "change it there, or set KERAS_BACKEND=tensorflow"
    raise UsageError(f"{where} {backend}, and tfopt runs Keras on TensorFlow", mend)


def ends_tensorflow(threads: str) -> bool:
    """Whether TensorFlow ends the process at its first op with this value of TF_NUM_INTRAOP_THREADS: its pool of
    threads takes no number below zero."""
    return _whole(threads) < 0


def _check_threads() -> None:
    """UsageError where TensorFlow would end the process."""
    value = os.environ.get("TF_NUM_INTRAOP_THREADS", "")
    if ends_tensorflow(value):
        raise UsageError(
            f"TF_NUM_INTRAOP_THREADS is {value}, with which TensorFlow ends the process",
            "unset TF_NUM_INTRAOP_THREADS, or set it to the number of threads that an op may use",
        )


def set_threads(threads: int | None) -> None:
    """Let ops use `threads` threads, inside and between them (None: TensorFlow's own choice).

    Raises UsageError where TensorFlow has already started with another number.
    """
    if threads is None:
        return
    import tensorflow as tf

    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    except RuntimeError as error:
        if threads == threads_used():
            return
        raise UsageError(
            f"TensorFlow already runs with {threads_used()} threads in this process",
            "set threads before TensorFlow's first op, or run in a fresh process",
        ) from error


def threads_used() -> int:
    """The number of threads that an op may use: what was set, else TF_NUM_INTRAOP_THREADS, else one per processor that
    this process may run on (LocalDevice of tensorflow/core/common_runtime/local_device.cc)."""
    import tensorflow as tf

    return (
        int(tf.config.threading.get_intra_op_parallelism_threads())
        or _whole(os.environ.get("TF_NUM_INTRAOP_THREADS", ""))
        or len(os.sched_getaffinity(0))
    )


def _whole(text: str) -> int:
    """The number in `text`; 0 where TensorFlow, too, finds none."""
    try:
        return int(text)
    except ValueError:
        return 0
