"""Which half-precision dtypes a device multiplies in hardware."""

from __future__ import annotations

from tfopt.workload.cpu import cpu_features, multiplying

__all__ = ["half_precision"]

# NVIDIA's tensor cores compute float16 from compute capability 7.0 on, bfloat16 from 8.0 on.
_CAPABILITY = {"float16": (7, 0), "bfloat16": (8, 0)}


def half_precision(device: str) -> tuple[str, ...] | None:
    """The half-precision dtypes that `device` (`CPU`, `GPU:0 …`, `TPU …`) multiplies in hardware; None: unknown."""
    if device.startswith("GPU"):
        return _of_gpu(device)
    if device.startswith("TPU"):
        return ("bfloat16",)
    features = cpu_features()
    return None if features is None else tuple(multiplying(features))


def _of_gpu(device: str) -> tuple[str, ...] | None:
    import tensorflow as tf

    number = device.removeprefix("GPU:").split()[0]
    gpus = tf.config.list_physical_devices("GPU")
    details = tf.config.experimental.get_device_details(gpus[int(number)]) if number.isdigit() and gpus else {}
    capability = details.get("compute_capability")
    if capability is None:
        return None
    return tuple(dtype for dtype, least in _CAPABILITY.items() if capability >= least)
