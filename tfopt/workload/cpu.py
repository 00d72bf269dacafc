"""The processor, as Linux tells of it: its name, its features, and the half precision that they multiply."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from pathlib import Path

__all__ = ["cpu_features", "cpu_name", "multiplying"]

_CPUINFO = Path("/proc/cpuinfo")
# Linux's names of features (arch/x86/include/asm/cpufeatures.h; NEON's on ARM) by the dtype that they multiply.
_HALF = {
    "float16": ("avx512_fp16", "amx_fp16", "asimdhp"),
    "bfloat16": ("avx512_bf16", "amx_bf16", "bf16"),
}


def cpu_name(file: Path = _CPUINFO) -> str:
    """The processor's name, as the machine gives it."""
    return next(_values(file, "model name"), "") or platform.processor() or platform.machine()


def cpu_features(file: Path = _CPUINFO) -> frozenset[str] | None:
    """What the processor can do, in Linux's words; None where the system does not tell."""
    words = next(_values(file, "flags", "Features"), "").split()
    return frozenset(words) if words else None


def multiplying(features: frozenset[str]) -> dict[str, tuple[str, ...]]:
    """The half-precision dtypes that a processor with these features multiplies, and which of them do."""
    found = {dtype: tuple(name for name in names if name in features) for dtype, names in _HALF.items()}
    return {dtype: names for dtype, names in found.items() if names}


def _values(file: Path, *keys: str) -> Iterator[str]:
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    yield from (line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() in keys)
