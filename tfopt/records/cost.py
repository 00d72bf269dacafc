"""What a layer costs, from its static shapes: parameters, arithmetic and memory traffic of one step."""

from __future__ import annotations

from typing import Literal

from tfopt.records.base import Record

__all__ = ["CostSource", "LayerCost", "StepSums"]

CostSource = Literal["formula", "ops", "none"]


class StepSums:
    """The sums over the phases of a step, of records that have each of them."""

    __slots__ = ()

    forward_flops: int
    backward_flops: int
    optimizer_flops: int
    forward_bytes: int
    backward_bytes: int
    optimizer_bytes: int

    @property
    def flops(self) -> int:
        """Floating-point operations of the whole step."""
        return self.forward_flops + self.backward_flops + self.optimizer_flops

    @property
    def moved_bytes(self) -> int:
        """Least memory traffic of the whole step."""
        return self.forward_bytes + self.backward_bytes + self.optimizer_bytes


class LayerCost(StepSums, Record, frozen=True, kw_only=True):
    """One layer's cost per step for the whole batch, by itself: what its children do is in their rows.

    `path`, `type` and `depth` are those of the layer tree, in its order. `calls` is how often the layer is called per
    step: amounts are summed over all calls, a recurrent cell's over all time steps. A multiply-accumulate (`macs`:
    those of matrix products and convolutions) counts as two floating-point operations. Bytes are the least traffic
    that the operation needs, each operand read once and each result written once. `activation_bytes` is the size of
    the forward outputs. `source` says how it was counted: `formula` (closed form), `ops` (summed over the ops that
    the layer's call makes, where there is no formula; `detail` says what could not be counted), `none`.
    """

    path: str
    type: str
    depth: int
    calls: int
    output_shape: tuple[int, ...] | None
    params: int
    trainable_params: int
    weight_bytes: int
    macs: int
    forward_flops: int
    backward_flops: int
    optimizer_flops: int
    forward_bytes: int
    backward_bytes: int
    optimizer_bytes: int
    activation_bytes: int
    source: CostSource
    detail: str = ""
