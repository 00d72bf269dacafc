"""How much memory a step takes, estimated and measured."""

from __future__ import annotations

from typing import Literal

from tfopt.records.base import Record

__all__ = ["MemoryInfo", "MemorySource"]

MemorySource = Literal["liveness", "xla_buffers", "xla_lower_bound", "none"]


class MemoryInfo(Record, frozen=True, kw_only=True):
    """Bytes of one step at its peak: `estimate_bytes` is the sum of the parts below it.

    `weight_bytes` are the model's variables, `slot_bytes` the optimizer's; `gradient_bytes`, `activation_bytes` and
    `temporary_bytes` are what else is alive at the peak: gradients of variables, forward results, and the rest.
    `allocator_bytes` is what TensorFlow's allocator gives tensors beyond their size. `uncounted_bytes` of the
    estimate are in tensors below 256 KiB, which nobody counts when `measured_bytes` is measured on a CPU.
    `source`: `liveness` over the traced graph; `xla_buffers` from XLA's buffer assignment (exact for the compiled
    program); `xla_lower_bound` before compiling; `none` where nothing is known (eager: only weights and slots). `peak_layer` is the layer
    that works at the peak. `measured_bytes` is weights and slots plus what a step adds to them, where it was measured.
    """

    source: MemorySource
    estimate_bytes: int | None
    weight_bytes: int
    slot_bytes: int
    gradient_bytes: int
    activation_bytes: int
    temporary_bytes: int
    peak_layer: str | None
    measured_bytes: int | None = None
    allocator_bytes: int = 0
    uncounted_bytes: int = 0
