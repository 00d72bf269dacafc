"""The two roofs of this machine: how fast TensorFlow multiplies matrices, how fast memory is read and written.

The runs of all probes take turns for about two seconds, so that a busy moment does not fall on one of them alone. With
what it takes to prepare them this is three to four seconds.

- **Peak** by dtype: square matrix products in a compiled `tf.function`, twice the size each time until one takes a
  third of a second (float16 without hardware support stops early); the two largest count. 2n³ operations each. The best
  of all runs, since whatever else runs only ever makes them slower.
- **Bandwidth**: adding one array to another in place, four times in a `tf.function`; each is four times the last-level
  cache. Two reads and a write of each number. In place, since a new result would be paid for in page faults; four
  times, since one addition hardly takes longer than starting it. The median of all runs: a virtual machine shares its
  memory with strangers, and has twice as much of it in the rare moments when they rest. No step takes that short.
"""

from __future__ import annotations

import contextlib
import datetime
import itertools
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import tensorflow as tf

from tfopt.records.base import Note
from tfopt.records.machine import Machine
from tfopt.report import units
from tfopt.report.progress import ProgressCallback
from tfopt.workload.cpu import cpu_name
from tfopt.workload.device import Placement
from tfopt.workload.machine_cache import Key, keep, kept
from tfopt.workload.runtime import threads_used

__all__ = ["known_machine", "measure_machine"]

_DTYPES = ("float32", "bfloat16", "float16")
_SIZES = (512, 1024, 2048, 4096, 8192)
_LONGEST_S = 0.35  # of one run
_TURN_S = 0.1  # for which a probe runs when it is its turn, once at least
_SECONDS = 2.0  # for which they take turns
_BUSY = 0.2  # of the time that threads want to run
_ADDITIONS = 4  # in one run
_LEAST_BYTES, _MOST_BYTES = 2**27, 2**29  # of an array


@dataclass(frozen=True)
class _Probe:
    """Something of known `work` (operations or bytes): `run` does it once and waits for the end."""

    what: str
    work: float
    run: Callable[[], object]

    def seconds(self) -> float:
        started = time.perf_counter()
        self.run()
        return time.perf_counter() - started


def known_machine(
    placement: Placement, recalibrate: bool, progress: ProgressCallback
) -> tuple[Machine, tuple[Note, ...]]:
    """The machine as it was measured before, or as it is measured now where it was not, or to `recalibrate`.

    With a note where it cannot be kept for the next time.
    """
    key = Key(cpu_name(), _device_name(placement), threads_used(), tf.__version__)
    machine = None if recalibrate else kept(key)
    if machine is not None:
        return machine, ()
    progress("measuring the machine", None)
    waited, used = _waited_s(), time.process_time()
    machine = measure_machine(placement)
    waited, used = _waited_s() - waited, time.process_time() - used
    if waited > _BUSY * (waited + used):
        message = (
            "the machine was busy when its roofs were measured: threads waited for "
            f"{units.percent(waited / (waited + used))} of their time. The roofs are too low and the shares of them "
            "too high"
        )
        return machine, (Note(message=message, hint="profile again when nothing else runs: they are not kept"),)
    return machine, keep(machine, key)


def _waited_s() -> float:
    """Seconds that this process's threads were ready to run and something else ran; 0 where Linux does not say."""
    waited = 0
    for file in Path("/proc/self/task").glob("*/schedstat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            waited += int(file.read_text().split()[1])
    return waited / 1e9


def measure_machine(placement: Placement) -> Machine:
    """The roofs of the placement's device with the threads in use. Whatever TensorFlow raises passes through."""
    probes = [probe for dtype in _DTYPES for probe in _products(dtype, placement)[-2:]]
    probes.append(_addition(placement))
    rates: dict[str, list[float]] = {probe.what: [] for probe in probes}
    ends = time.perf_counter() + _SECONDS
    for turn, probe in enumerate(itertools.cycle(probes)):
        if turn >= len(probes) and time.perf_counter() > ends:
            break
        rates[probe.what] += _turn(probe)
    bandwidth = statistics.median(rates.pop(_ADDITION))
    return Machine(
        device=_device_name(placement),
        cpu=cpu_name(),
        threads=threads_used(),
        peak_gflops={dtype: max(reached) / 1e9 for dtype, reached in rates.items()},
        bandwidth_gb_per_s=bandwidth / 1e9,
        measured_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        tensorflow=tf.__version__,
    )


def _device_name(placement: Placement) -> str:
    """The device as people know it: of an accelerator also its model, so that another one is measured anew."""
    for device in tf.config.list_physical_devices(placement.kind) if placement.kind == "GPU" else ():
        if device.name.endswith(f":{placement.name.partition(':')[2] or '0'}"):
            return (
                f"{placement.name} {tf.config.experimental.get_device_details(device).get('device_name', '')}".strip()
            )
    return placement.name


def _turn(probe: _Probe) -> list[float]:
    """Its rates (work per second) in the runs of one turn."""
    ends = time.perf_counter() + _TURN_S
    reached = [probe.work / probe.seconds()]
    while time.perf_counter() < ends:
        reached.append(probe.work / probe.seconds())
    return reached


_ADDITION = "addition"


def _products(dtype: str, placement: Placement) -> list[_Probe]:
    """Products of matrices of `dtype`, each run already, smallest first."""

    def product(left: tf.Tensor, right: tf.Tensor) -> tf.Tensor:
        return tf.linalg.matmul(left, right)[0, 0]  # one number to wait for

    signature = [tf.TensorSpec((None, None), dtype)] * 2
    return list(_growing(dtype, tf.function(product, input_signature=signature, autograph=False), placement))


def _growing(dtype: str, product: Callable[..., tf.Tensor], placement: Placement) -> Iterator[_Probe]:
    for size in _SIZES:
        pair = tuple(tf.cast(tf.random.uniform((size, size)), dtype) for _ in range(2))
        probe = _Probe(dtype, 2.0 * size**3, lambda pair=pair: placement.run(product, pair).numpy())  # type: ignore[misc]
        probe.seconds()  # what the first run of a size prepares
        yield probe
        if probe.seconds() * 8 > _LONGEST_S:
            return


def _addition(placement: Placement) -> _Probe:
    size = min(max(_LEAST_BYTES, 4 * _last_level_cache()), _MOST_BYTES)
    total, addend = tf.Variable(tf.zeros(size // 4)), tf.ones(size // 4)

    def add(addend: tf.Tensor) -> tf.Tensor:
        for _ in range(_ADDITIONS):
            total.assign_add(addend)
        return total[0]

    compiled = tf.function(add, autograph=False)
    probe = _Probe(_ADDITION, 3.0 * size * _ADDITIONS, lambda: placement.run(compiled, (addend,)).numpy())
    probe.seconds()
    return probe


def _last_level_cache() -> int:
    """Bytes of the largest cache that a CPU sees; 0 where the machine does not say."""
    sizes = [file.read_text().strip() for file in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size")]
    return max((int(size[:-1]) * 1024 for size in sizes if size[:-1].isdigit() and size.endswith("K")), default=0)
