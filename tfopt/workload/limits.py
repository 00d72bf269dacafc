"""What a container or session allows this process: processors and memory, from the control groups (1 and 2, Linux)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

__all__ = ["available_memory", "cpu_quota", "memory_limit"]

_ROOT, _OWN = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
_UNLIMITED = 2**60  # version 1 writes a huge number for no limit


def cpu_quota(root: Path = _ROOT, own: Path = _OWN) -> float | None:
    """How many processors' worth of time the process gets, the least of all groups around it; None: no limit."""
    quotas = []
    for folder in _folders(root, own, "cpu"):
        if (text := _text(folder / "cpu.max")) is not None:
            quota, _, period = text.partition(" ")
        else:
            quota, period = _text(folder / "cpu.cfs_quota_us") or "", _text(folder / "cpu.cfs_period_us") or ""
        if quota.isdigit() and period.isdigit() and int(period):  # "max" and -1 are no limit
            quotas.append(int(quota) / int(period))
    return min(quotas, default=None)


def memory_limit(root: Path = _ROOT, own: Path = _OWN) -> int | None:
    """The bytes that the process may have, the least of all groups around it; None: no limit."""
    return min((limit for _, limit in _limited(root, own)), default=None)


def available_memory(root: Path = _ROOT, own: Path = _OWN, meminfo: Path = Path("/proc/meminfo")) -> int | None:
    """The bytes that a process here can still get: the least of what the kernel calls available and what each group
    around it has left, its file cache taken as free, as the kernel does. None: the system does not tell."""
    left = [limit - _used(folder) for folder, limit in _limited(root, own)]
    if (match := re.search(r"^MemAvailable:\s+(\d+) kB$", _text(meminfo) or "", re.MULTILINE)) is not None:
        left.append(int(match[1]) * 1024)
    return max(min(left), 0) if left else None


def _limited(root: Path, own: Path) -> Iterator[tuple[Path, int]]:
    """The groups that have a limit of memory, and how many bytes it is."""
    for folder in _folders(root, own, "memory"):
        for name in ("memory.max", "memory.limit_in_bytes"):
            text = _text(folder / name)
            if text and text.isdigit() and int(text) < _UNLIMITED:
                yield folder, int(text)


def _used(folder: Path) -> int:
    """The bytes that a group holds and cannot give back; version 1 calls sums over its subgroups totals."""
    used = next(filter(None, (_text(folder / name) for name in ("memory.current", "memory.usage_in_bytes"))), "0")
    stat = dict(line.split(" ", 1) for line in (_text(folder / "memory.stat") or "").splitlines() if " " in line)
    cached = [stat.get(f"total_{kind}") or stat.get(kind, "0") for kind in ("inactive_file", "active_file")]
    return int(used) - sum(map(int, cached))


def _folders(root: Path, own: Path, controller: str) -> Iterator[Path]:
    """The folders of the process's group and of those around it. In a container its own path may be the host's, which
    is not there: then the root is its group."""
    for line in (_text(own) or "").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers and controller not in controllers.split(","):
            continue
        base = root / controllers if controllers else root
        group = base / path.lstrip("/")
        yield from (folder for folder in (group, *group.parents) if folder.is_relative_to(base) and folder.is_dir())


def _text(file: Path) -> str | None:
    try:
        return file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
