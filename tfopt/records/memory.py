"""How much memory a step takes, estimated and measured."""

from __future__ import annotations

from typing import Literal

from tfopt.records.base import Record

__all__ = ["MemoryInfo", "MemoryLimit", "MemorySource"]

MemorySource = Literal["liveness", "xla_buffers", "xla_lower_bound", "none"]


class MemoryInfo(Record, frozen=True, kw_only=True):
    """Bytes of one step at its peak: `estimate_bytes` is the sum of the parts below it.

    `weight_bytes` are the model's variables, `slot_bytes` the optimizer's; `gradient_bytes`, `activation_bytes` and
    `temporary_bytes` are what else is alive at the peak: gradients of variables, forward results, and the rest.
    `allocator_bytes` is what TensorFlow's allocator gives tensors beyond their size. `uncounted_bytes` of the
    estimate are in tensors below 256 KiB, which nobody counts when `measured_bytes` is measured on a CPU.
    `source`: `liveness` over the traced graph; `xla_buffers` from XLA's buffer assignment (exact for the compiled
    program); `xla_lower_bound` before compiling; `none` where nothing is known (eager: only weights and slots).
    `peak_layer` is the layer that works at the peak. `measured_bytes` is weights and slots plus what a step adds to
    them, where it was measured.
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


class MemoryLimit(Record, frozen=True, kw_only=True):
    """The largest batch of which a step stays within `limit_bytes`, each batch run in a fresh process.

    `batch_size` ran and took `measured_bytes`: as `MemoryInfo` has it, and `uncounted_bytes` that are only estimated;
    null where no batch fits or none could be run. `resident_bytes` is the peak of that whole process, TensorFlow
    included, which the limit is not about. `over_batch_size` does not fit: `over` says whether it ran and took
    `over_bytes` (`measured`), was killed for memory (`killed`, bytes null) or is known by the estimate alone
    (`estimated`). `reason` says in words why no other batch was tried: the model or the data fixes it, or this machine
    is too small. `asked` is the limit as it was written, where it was.
    """

    limit_bytes: int
    asked: str = ""
    batch_size: int | None
    measured_bytes: int | None = None
    uncounted_bytes: int = 0
    resident_bytes: int | None = None
    over_batch_size: int | None = None
    over_bytes: int | None = None
    over: Literal["measured", "killed", "estimated"] | None = None
    reason: str = ""
