"""Which half-precision dtypes a machine multiplies in hardware."""

from __future__ import annotations

from pathlib import Path

__all__ = ["half_precision"]

# Linux's names of the CPU's features (arch/x86/include/asm/cpufeatures.h) by the dtype whose products they compute.
_X86 = {"float16": {"avx512_fp16", "amx_fp16"}, "bfloat16": {"avx512_bf16", "amx_bf16"}}
_ARM = {"float16": {"asimdhp"}, "bfloat16": {"bf16"}}
# NVIDIA's tensor cores compute float16 from compute capability 7.0 on, bfloat16 from 8.0 on.
_CAPABILITY = {"float16": (7, 0), "bfloat16": (8, 0)}


def half_precision(device: str) -> tuple[str, ...]:
    """The half-precision dtypes that `device` (`CPU`, `GPU:0 …`, `TPU …`) multiplies in hardware."""
    if device.startswith("GPU"):
        return _of_gpu(device)
    return ("bfloat16",) if device.startswith("TPU") else of_cpu(_features())


def of_cpu(features: frozenset[str]) -> tuple[str, ...]:
    """The dtypes that a CPU with these features multiplies: AVX512 and AMX on x86, NEON on ARM."""
    known = {dtype: _X86[dtype] | _ARM[dtype] for dtype in _X86}
    return tuple(dtype for dtype, names in known.items() if names & features)


def _features(file: Path = Path("/proc/cpuinfo")) -> frozenset[str]:
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return frozenset()
    return frozenset(
        word for line in lines if line.startswith(("flags", "Features")) for word in line.partition(":")[2].split()
    )


def _of_gpu(device: str) -> tuple[str, ...]:
    import tensorflow as tf

    number = device.removeprefix("GPU:").split()[0]
    gpus = tf.config.list_physical_devices("GPU")
    details = tf.config.experimental.get_device_details(gpus[int(number)]) if number.isdigit() and gpus else {}
    capability = details.get("compute_capability", (0, 0))
    return tuple(dtype for dtype, least in _CAPABILITY.items() if capability >= least)
