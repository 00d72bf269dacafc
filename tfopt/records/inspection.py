"""The record of an inspected model: what each layer costs per step, found without running it.

Units are in the names (`_bytes`); everything is per step of the whole batch. Within schema version 1 fields may be
added, never changed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from tfopt.records.base import Note, Record
from tfopt.records.cost import LayerCost, StepSums
from tfopt.records.memory import MemoryInfo, MemoryLimit
from tfopt.records.profile import InputInfo, ModelInfo

__all__ = ["INSPECTION_SCHEMA", "CostTotals", "InspectionInfo", "InspectionRecord"]

INSPECTION_SCHEMA: Literal["tfopt.inspection/1"] = "tfopt.inspection/1"


class InspectionInfo(Record, frozen=True, kw_only=True):
    """The circumstances that the numbers hold for. `loss` and `optimizer` are null in inference.

    `device`, `xla` and `threads` (those that an op may use; 0: not known) are what the memory of the step depends on.
    """

    mode: Literal["train", "infer"]
    precision: str
    batch_size: int
    inputs: tuple[InputInfo, ...]
    optimizer: str | None
    loss: str | None = None
    device: str = ""
    xla: bool = False
    threads: int = 0
    seed: int = 0
    command: str
    started_at: str
    tfopt: str
    python: str
    tensorflow: str
    keras: str


class CostTotals(StepSums, Record, frozen=True, kw_only=True):
    """Sums over layers, of what `LayerCost` has under the same names."""

    params: int = 0
    trainable_params: int = 0
    weight_bytes: int = 0
    macs: int = 0
    forward_flops: int = 0
    backward_flops: int = 0
    optimizer_flops: int = 0
    forward_bytes: int = 0
    backward_bytes: int = 0
    optimizer_bytes: int = 0
    activation_bytes: int = 0

    @classmethod
    def of(cls, layers: Iterable[LayerCost]) -> CostTotals:
        """The sums over `layers`."""
        rows = list(layers)
        return cls(**{name: sum(getattr(row, name) for row in rows) for name in cls.__struct_fields__})


class InspectionRecord(Record, frozen=True, kw_only=True):
    """One inspected model. `layers` are those of the layer tree, in its order; `totals` their sums."""

    schema: Literal["tfopt.inspection/1"] = INSPECTION_SCHEMA
    model: ModelInfo
    run: InspectionInfo
    totals: CostTotals
    layers: tuple[LayerCost, ...]
    memory: MemoryInfo | None = None
    limit: MemoryLimit | None = None
    notes: tuple[Note, ...] = ()
