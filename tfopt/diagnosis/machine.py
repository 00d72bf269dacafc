"""The machine: its processor, how much of it this process may use, memory, room on disks, and the terminal."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tfopt.diagnosis.finding import note, ok, problem, unknown
from tfopt.records.diagnosis import Finding
from tfopt.report.units import size
from tfopt.workload.cpu import cpu_features, cpu_name, multiplying
from tfopt.workload.limits import available_memory, cpu_quota, memory_limit

__all__ = ["CHECKS", "MachineFacts", "Room", "examine", "machine"]

_GB = 10**9
_TENSORFLOW = 1 * _GB  # what TensorFlow and a small model need
_COMFORTABLE = 4 * _GB
_TRACES = 1 * _GB  # a trace of a large model has some hundred MB
_SMALL_TRACE = 100 * 10**6


@dataclass(frozen=True)
class Room:
    """A folder where files will go: what for, free bytes (None: unknown), and whether one may write there."""

    what: str
    path: str
    free: int | None
    writable: bool
    mend: str


@dataclass(frozen=True)
class MachineFacts:
    """Facts. `flags`: what the processor can do (None: unknown); `cores`: all, `usable`: those that this process may
    run on, `quota`: processors' worth of time that its container allows (None: no limit); memory in bytes (None:
    unknown), `limit`: what the container allows (None: no limit), `available`: what can still be had here."""

    cpu: str
    architecture: str
    flags: frozenset[str] | None
    cores: int
    usable: int
    quota: float | None
    load: float | None
    memory: int | None
    available: int | None
    limit: int | None
    rooms: tuple[Room, ...]
    encoding: str


def machine() -> MachineFacts:
    """This machine, as this process sees it."""
    return MachineFacts(
        cpu=cpu_name(),
        architecture=platform.machine(),
        flags=cpu_features(),
        cores=os.cpu_count() or 1,
        usable=len(os.sched_getaffinity(0)),
        quota=cpu_quota(),
        load=_load(),
        memory=_memory(),
        available=available_memory(),
        limit=memory_limit(),
        rooms=(
            _room("temporary files", Path(tempfile.gettempdir()), "export TMPDIR=/a/folder/with/room"),
            _room("runs", Path("runs"), "tfopt profile MODEL --run-dir /a/folder/with/room"),
        ),
        encoding=(sys.stdout.encoding if sys.stdout is not None else None) or "utf-8",
    )


def examine() -> Iterator[Finding]:
    """All findings about the machine."""
    found = machine()
    for check in CHECKS:
        yield from check(found)


def _load() -> float | None:
    try:
        return os.getloadavg()[0]
    except OSError:
        return None


def _memory() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return None


def _room(what: str, path: Path, mend: str) -> Room:
    there = next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.exists())
    try:
        free = shutil.disk_usage(there).free
    except OSError:
        free = None
    return Room(what, str(path.absolute()), free, there.is_dir() and os.access(there, os.W_OK), mend)


def instructions(found: MachineFacts) -> Iterator[Finding]:
    """TensorFlow's x86 builds need AVX, and are slow without AVX2 and FMA."""
    if found.flags is None:
        yield unknown("machine.instructions", "this system does not tell what its processor can do")
    elif found.architecture != "x86_64":
        yield ok("machine.instructions", f"{found.cpu} ({found.architecture})")
    elif "avx" not in found.flags:
        what = f"{found.cpu} has no AVX: TensorFlow ends with an illegal instruction"
        yield problem("machine.instructions", what, "use another machine, or a TensorFlow built for this processor")
    elif not {"avx2", "fma"} <= found.flags:
        yield note("machine.instructions", f"{found.cpu} has no AVX2 and FMA: matrix products are several times slower")
    else:
        best = "AVX-512" if "avx512f" in found.flags else "AVX2 and FMA"
        yield ok("machine.instructions", f"{found.cpu} with {best}")


def half_precision(found: MachineFacts) -> Iterator[Finding]:
    """Without instructions for it half precision is converted back and forth, which costs more than it saves."""
    if found.flags is None:
        return
    has = multiplying(found.flags)
    able = [f"{dtype} ({', '.join(flags).upper()})" for dtype, flags in has.items()]
    lacks = [dtype for dtype in ("float16", "bfloat16") if dtype not in has]
    if able:
        rest = f"; {lacks[0]} is converted and slow" if lacks else ""
        yield ok("machine.half_precision", f"multiplies {' and '.join(able)} in hardware on this CPU{rest}")
    else:
        what = "no instructions for float16 or bfloat16 on this CPU: mixed precision is slower on it than float32"
        yield note("machine.half_precision", what)


def processors(found: MachineFacts) -> Iterator[Finding]:
    """TensorFlow counts the processors that it may run on, and knows nothing of a container's quota."""
    if found.quota is not None and found.quota < found.usable:
        threads = max(1, int(found.quota))
        what = (
            f"the container allows {found.quota:g} of {found.usable} processors, yet TensorFlow starts "
            f"{found.usable} threads: they are stopped in turn, and times are uneven"
        )
        yield note("machine.processors", what, f"tfopt profile MODEL --threads {threads}")
    else:
        of = f" of {found.cores}" if found.usable < found.cores else ""
        yield ok("machine.processors", f"{found.usable}{of} processor{'s' if found.cores > 1 else ''}, no quota below")


def load(found: MachineFacts) -> Iterator[Finding]:
    """Work beside a measurement makes its times long and uneven."""
    if found.load is None:
        return
    # Also in a container, the system counts the whole machine's processes.
    if found.load > found.cores / 2:
        what = (
            f"the last minute had {found.load:.1f} runnable processes on the machine's {found.cores} processors: "
            "times will be uneven"
        )
        yield note("machine.load", what, "uptime # measure when it is low")
    else:
        yield ok("machine.load", f"load {found.load:.1f}")


def memory(found: MachineFacts) -> Iterator[Finding]:
    """Room for TensorFlow and a model."""
    if found.memory is None or found.available is None:
        yield unknown("machine.memory", "this system does not tell how much memory it has")
        return
    free = found.available
    if found.limit is not None and found.limit < found.memory:
        what = f"{size(free)} free of the {size(found.limit)} memory that the container allows"
    else:
        what = f"{size(free)} of {size(found.memory)} memory free"
    if free < _TENSORFLOW:
        yield problem("machine.memory", f"{what}: TensorFlow alone needs half of {size(_TENSORFLOW)}", "free -h")
    elif free < _COMFORTABLE:
        yield note("machine.memory", f"{what}: larger models will not fit", "free -h")
    else:
        yield ok("machine.memory", what)


def rooms(found: MachineFacts) -> Iterator[Finding]:
    """Traces are written to a temporary folder or a run's."""
    for room in found.rooms:
        id = f"machine.room_{room.what.rpartition(' ')[2]}"
        if not room.writable:
            yield problem(id, f"no permission to write {room.what} in {room.path}", room.mend)
        elif room.free is None:
            yield unknown(id, f"cannot tell how much room there is for {room.what} in {room.path}")
        else:
            say = f"{size(room.free)} for {room.what} in {room.path}"
            if room.free < _SMALL_TRACE:
                yield problem(id, f"only {say}: no trace fits", room.mend)
            elif room.free < _TRACES:
                yield note(id, f"only {say}: traces of large models have some hundred MB", room.mend)
            else:
                yield ok(id, say)


def terminal(found: MachineFacts) -> Iterator[Finding]:
    """Tables draw bars and trees."""
    try:
        "█├–".encode(found.encoding)
    except (UnicodeEncodeError, LookupError):
        what = f"the terminal takes {found.encoding}: bars and trees are drawn with simpler signs"
        yield note("machine.terminal", what, "export LC_ALL=C.UTF-8")
    else:
        yield ok("machine.terminal", f"the terminal takes {found.encoding}")


CHECKS: tuple[Callable[[MachineFacts], Iterator[Finding]], ...] = (
    instructions,
    half_precision,
    processors,
    load,
    memory,
    rooms,
    terminal,
)
