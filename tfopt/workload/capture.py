"""Run steps under `tf.profiler`, every op recorded, and keep the trace where TensorBoard looks for it.

TensorFlow's executor learns the cost of each op, and records one that it takes for cheap (under 8,000 cycles) only at
host tracer level 3 (`GetTFTraceMeLevel` in tsl/profiler/lib/traceme.h; `KernelStats` in executor.cc). TensorFlow 2.21
ignores the level that is asked for and uses 2: after some 90 runs of an op, which in a recurrent loop is after a few
steps, it is gone from the trace. So the level is raised where the recorder keeps it: `g_trace_level`, a variable that
traceme_recorder.h exports.
"""

from __future__ import annotations

import ctypes
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfopt.errors import RunFailed
from tfopt.workload.timing import finished

__all__ = ["STEP_NAME", "Capture", "capture"]

STEP_NAME = "train"

_MIN_STEPS, _MAX_STEPS, _MIN_MS = 5, 24, 500.0
_VERBOSE = 3
_LEVEL_SYMBOL = "_ZN3tsl8profiler8internal13g_trace_levelE"


@dataclass(frozen=True)
class Capture:
    """A recorded trace: the file, the wall time of each traced step in ms, and whether cheap ops were recorded too."""

    file: Path
    wall_ms: tuple[float, ...]
    every_op: bool

    @property
    def executed(self) -> int:
        """Steps that ran, with the unmarked one before the first that is traced."""
        return 1 + len(self.wall_ms)


def capture(run: Callable[[], Any], steps: int | None, folder: Path) -> Capture:
    """Trace `steps` steps into `folder`/plugins/profile/TIME/HOST.xplane.pb, with a step marker around each.

    By default at least 5, and half a second of them, at most 24. One step runs before them without a marker: the
    recorder's memory is new in it, which makes it slower than all others. The profiler is stopped whatever happens
    inside. Raises RunFailed where it cannot start or write.
    """
    options = tf.profiler.experimental.ProfilerOptions(host_tracer_level=_VERBOSE)
    try:
        tf.profiler.experimental.start(str(folder), options=options)
    except tf.errors.OpError as error:
        raise RunFailed(
            f"the profiler cannot start: {error.message}", "stop the other profiling session of this process first"
        ) from error
    wall: list[float] = []
    try:
        every_op = _record_cheap_ops()
        finished(run())
        while not _enough(wall, steps):
            started = time.perf_counter_ns()
            with tf.profiler.experimental.Trace(STEP_NAME, step_num=len(wall), _r=1):
                finished(run())
            wall.append((time.perf_counter_ns() - started) / 1e6)
    except BaseException:
        tf.profiler.experimental.stop(save=False)
        raise
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tf.profiler.experimental.stop()
    except tf.errors.OpError as error:
        reason = error.message.rpartition("; ")[2]
        raise RunFailed(f"cannot write the trace: {reason}", "make room, or choose another --run-dir") from error
    files = sorted(folder.glob("plugins/profile/*/*.xplane.pb"))
    if not files:
        raise RunFailed("the profiler wrote no trace", "check that the run folder is writable and not full")
    return Capture(files[-1], tuple(wall), every_op)


def _enough(wall_ms: list[float], steps: int | None) -> bool:
    if steps is not None:
        return len(wall_ms) >= steps
    return len(wall_ms) >= _MAX_STEPS or (len(wall_ms) >= _MIN_STEPS and sum(wall_ms) >= _MIN_MS)


def _record_cheap_ops() -> bool:
    """Raise the running recorder's level to verbose. Returns whether it is (the profiler's stop resets it)."""
    for library in Path(tf.sysconfig.get_lib()).glob("libtensorflow_framework*"):
        try:
            level = ctypes.c_int.in_dll(ctypes.CDLL(str(library)), _LEVEL_SYMBOL)
        except (OSError, ValueError):  # another platform or version keeps it elsewhere
            continue
        if level.value > 0:  # it is -1 while nothing is recorded
            level.value = max(level.value, _VERBOSE)
            return True
    return False
