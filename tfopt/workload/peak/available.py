"""How much memory this machine can still give, container limits included (Linux)."""

from __future__ import annotations

import os
import re
from pathlib import Path

__all__ = ["available_bytes"]

_GROUPS = (("memory.max", "memory.current"), ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"))


def available_bytes(proc: Path = Path("/proc"), cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """The least of what the kernel calls available and what the container has left; all of the machine's memory where
    neither says."""
    found = []
    text = _text(proc / "meminfo")
    if match := re.search(r"^MemAvailable:\s+(\d+) kB$", text, re.MULTILINE):
        found.append(int(match[1]) * 1024)
    for limit, used in _GROUPS:
        sizes = [_text(cgroup / name).strip() for name in (limit, used)]
        if all(size.isdigit() for size in sizes):
            found.append(int(sizes[0]) - int(sizes[1]))
    return max(min(found), 0) if found else os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
