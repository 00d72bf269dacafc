"""Run steps under `tf.profiler` and keep the trace where TensorBoard looks for it.

Trace early. TensorFlow's executor learns each op's cost, and records an op that it takes for cheap (under 8,000 cycles)
only at host tracer level 3; TensorFlow 2.21 ignores the level that is asked for and always uses 2. The estimate starts
at 10⁸ cycles and loses a tenth with each untraced run (`KernelStats` in executor.cc), so for some 90 steps every op is
recorded, and later the cheap ones vanish: on a small dense network, 5 events were left of 650.
"""

from __future__ import annotations

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


@dataclass(frozen=True)
class Capture:
    """A recorded trace: the file and the wall time of each traced step in ms."""

    file: Path
    wall_ms: tuple[float, ...]


def capture(run: Callable[[], Any], steps: int, folder: Path) -> Capture:
    """Trace `steps` steps into `folder`/plugins/profile/TIME/HOST.xplane.pb, with a step marker around each.

    The profiler is stopped whatever happens inside. Raises RunFailed where it cannot start or wrote nothing.
    """
    options = tf.profiler.experimental.ProfilerOptions(host_tracer_level=3)
    try:
        tf.profiler.experimental.start(str(folder), options=options)
    except tf.errors.OpError as error:
        raise RunFailed(
            f"the profiler cannot start: {error.message}", "stop the other profiling session of this process first"
        ) from error
    wall = []
    try:
        for number in range(steps):
            started = time.perf_counter_ns()
            with tf.profiler.experimental.Trace(STEP_NAME, step_num=number, _r=1):
                finished(run())
            wall.append((time.perf_counter_ns() - started) / 1e6)
    except BaseException:
        tf.profiler.experimental.stop(save=False)
        raise
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tf.profiler.experimental.stop()
    files = sorted(folder.glob("plugins/profile/*/*.xplane.pb"))
    if not files:
        raise RunFailed("the profiler wrote no trace", "check that the run folder is writable and not full")
    return Capture(files[-1], tuple(wall))
