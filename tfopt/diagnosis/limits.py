"""What a container or session allows this process: processors and memory, from the control groups (1 and 2)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

__all__ = ["cpu_quota", "memory_limit"]

_ROOT = Path("/sys/fs/cgroup")
_UNLIMITED = 2**60  # version 1 writes a huge number for no limit


def cpu_quota(root: Path = _ROOT, own: Path = Path("/proc/self/cgroup")) -> float | None:
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


def memory_limit(root: Path = _ROOT, own: Path = Path("/proc/self/cgroup")) -> int | None:
    """The bytes that the process may have, the least of all groups around it; None: no limit."""
    texts = [
        _text(folder / name)
        for folder in _folders(root, own, "memory")
        for name in ("memory.max", "memory.limit_in_bytes")
    ]
    return min((int(text) for text in texts if text and text.isdigit() and int(text) < _UNLIMITED), default=None)


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
