"""GPUs: those that the driver shows against those that TensorFlow sees, and whether they may be profiled."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tfopt.diagnosis.finding import note, ok, problem, unknown
from tfopt.diagnosis.installed import pinned
from tfopt.diagnosis.trial import Report
from tfopt.records.diagnosis import Finding
from tfopt.wording import counted

__all__ = ["CHECKS", "Gpus", "examine"]

_PROC = Path("/proc/driver/nvidia")
_WITH_CUDA = f"pip install {pinned('tensorflow', '[and-cuda]')}"
# docs.nvidia.com/deploy/cuda-compatibility, "Minor Version Compatibility": the oldest driver for a CUDA release.
_DRIVERS = {11: 450, 12: 525, 13: 580}
# Either lets a process read the counters, whatever the driver says (CAP_PERFMON since driver 565).
_CAPABILITIES = {"CAP_SYS_ADMIN": 21, "CAP_PERFMON": 38}
_QUERY_S = 10.0


@dataclass(frozen=True)
class Gpus:
    """Facts. `driver`: the version of NVIDIA's kernel driver (None: not loaded), `shown`: the GPUs it shows, `seen`:
    those that TensorFlow sees (None: it could not tell, `why`); `cuda`: the release that it was built for (None:
    without CUDA); `visible`: CUDA_VISIBLE_DEVICES; `restricted`: the driver lets only administrators profile;
    `amd`: an AMD GPU's driver is there."""

    driver: str | None = None
    shown: tuple[str, ...] = ()
    seen: tuple[str, ...] | None = ()
    why: str = ""
    cuda: str | None = None
    rocm: bool = False
    visible: str | None = None
    restricted: bool = False
    administrator: bool = False
    amd: bool = False


def gpus(report: Report) -> Gpus:
    """The GPUs of this machine, and what the trial run saw of them."""
    seen = report.found("devices")
    return Gpus(
        driver=_driver(),
        shown=_shown(),
        seen=None if seen is None else tuple(seen["gpus"]),
        why=report.error("devices"),
        cuda=seen["cuda"] if seen else None,
        rocm=bool(seen and seen["rocm"]),
        visible=os.environ.get("CUDA_VISIBLE_DEVICES"),
        restricted=re.search(r"^RmProfilingAdminOnly: 1$", _text(_PROC / "params"), re.MULTILINE) is not None,
        administrator=_administrator(_text(Path("/proc/self/status"))),
        amd=Path("/dev/kfd").exists(),
    )


def examine(report: Report) -> Iterator[Finding]:
    """All findings about GPUs."""
    found = gpus(report)
    for check in CHECKS:
        yield from check(found)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _driver() -> str | None:
    match = re.search(r"Kernel Module(?: for \S+)?\s+(\d[\d.]*)", _text(_PROC / "version"))
    return match[1] if match else None


def _shown() -> tuple[str, ...]:
    """By nvidia-smi, else by the kernel driver's own files."""
    tool = shutil.which("nvidia-smi")
    if tool is not None:
        try:
            done = subprocess.run(
                [tool, "--query-gpu=name", "--format=csv,noheader"],
                capture_output=True, text=True, timeout=_QUERY_S, check=True, stdin=subprocess.DEVNULL,
            )  # fmt: skip
            return tuple(filter(None, map(str.strip, done.stdout.splitlines())))
        except (OSError, subprocess.SubprocessError):
            pass
    files = sorted(_PROC.glob("gpus/*/information"))
    names = (re.search(r"^Model:\s*(.+)$", _text(file), re.MULTILINE) for file in files)
    return tuple(match[1] if match else "NVIDIA GPU" for match in names)


def _administrator(status: str) -> bool:
    match = re.search(r"^CapEff:\s*([0-9a-f]+)$", status, re.MULTILINE)
    held = int(match[1], 16) if match else 0
    return any(held >> bit & 1 for bit in _CAPABILITIES.values())


def seen(found: Gpus) -> Iterator[Finding]:
    """Why TensorFlow does not see a GPU that is there."""
    names = ", ".join(found.shown)
    if found.seen is None:
        yield unknown("gpu.seen", f"TensorFlow could not list its devices: {found.why}")
    elif found.seen:
        yield ok("gpu.seen", f"TensorFlow sees {counted(len(found.seen), 'GPU')}: {', '.join(found.seen)}")
    elif not found.shown:
        yield _none(found)
    elif found.visible is not None and found.visible.strip() in ("", "-1"):
        hidden = counted(len(found.shown), "GPU")
        what = f"CUDA_VISIBLE_DEVICES={found.visible} hides {hidden} ({names}): all runs on the CPU"
        yield note("gpu.seen", what, "unset CUDA_VISIBLE_DEVICES")
    elif found.cuda is None:
        yield problem("gpu.seen", f"TensorFlow was built without CUDA and does not see {names}", _WITH_CUDA)
    elif (needed := _needed(found)) is not None:
        what = f"the driver {found.driver} is too old for CUDA {found.cuda}: TensorFlow does not see {names}"
        yield problem("gpu.seen", what, f"install NVIDIA's driver {needed} or newer")
    else:
        what = f"TensorFlow does not see {names}: libraries of CUDA {found.cuda} are missing, or do not fit"
        yield problem("gpu.seen", what, _WITH_CUDA)


def _none(found: Gpus) -> Finding:
    if found.amd and not found.rocm:
        return note("gpu.seen", "an AMD GPU is here, and this TensorFlow was built without ROCm: all runs on the CPU")
    if found.driver:
        what = f"NVIDIA's driver {found.driver} is loaded but shows no GPU to this process"
        return note("gpu.seen", what, "nvidia-smi # in a container: docker run --gpus all")
    return ok("gpu.seen", "no GPU here: TensorFlow runs on the CPU")


def _needed(found: Gpus) -> int | None:
    """The driver that this CUDA needs, if the one at hand is older."""
    needed = _DRIVERS.get(int((found.cuda or "0").split(".")[0]))
    own = int((found.driver or "0").split(".")[0])
    return needed if needed is not None and 0 < own < needed else None


def profiling(found: Gpus) -> Iterator[Finding]:
    """CUPTI_ERROR_INSUFFICIENT_PRIVILEGES (developer.nvidia.com, ERR_NVGPUCTRPERM)."""
    if not found.shown:
        return
    if found.restricted and not found.administrator:
        yield problem(
            "gpu.profiling",
            "the driver lets only administrators profile (CUPTI_ERROR_INSUFFICIENT_PRIVILEGES): traces lack kernels",
            "echo 'options nvidia NVreg_RestrictProfilingToAdminUsers=0' | sudo tee /etc/modprobe.d/nvidia-prof.conf"
            " # and reboot; in a container: docker run --cap-add SYS_ADMIN",
        )
    else:
        yield ok("gpu.profiling", "this process may profile its GPUs")


CHECKS: tuple[Callable[[Gpus], Iterator[Finding]], ...] = (seen, profiling)
