"""What a step computes in: half precision, casts to and from it, dimensions off tensor cores' tiles, float64."""

from __future__ import annotations

import math
from collections.abc import Iterator

from tfopt.records.advice import Fact
from tfopt.wording import listed
from tfopt.workload.facts.finding import TracedStep, fact_of
from tfopt.workload.facts.ops import GraphOp, StepOps, elements, item_size
from tfopt.workload.precision import is_product

__all__ = ["casts", "float64_ops", "half_products", "odd_dimensions"]

_HALF = ("float16", "bfloat16")
_FLOAT = (*_HALF, "float32", "float64")
_TILE = 8  # NVIDIA, "Train With Mixed Precision": dimensions of half-precision products are multiples of 8
_FEW_CHANNELS = 4  # of an image: nobody can change them
_MATMULS = ("MatMul", "BatchMatMulV2", "BatchMatMulV3")
_CONVOLUTIONS = ("Conv2D", "Conv3D")
_NO_ARITHMETIC = ("Const", "Identity", "Placeholder", "ReadVariableOp", "NoOp")


def half_products(step: TracedStep) -> Iterator[Fact]:
    """Matrix products and convolutions in half precision, forward and backward: one fact per dtype, its `detail`."""
    for dtype in _HALF:
        found = [op for op in step.ops.ops if is_product(op.type) and op.dtype() == dtype]
        if found:
            yield fact_of("half_products", found, dtype, named=True)


def casts(step: TracedStep) -> Iterator[Fact]:
    """Casts between floating-point dtypes, one of them half precision, with the bytes that they read and write."""
    found = [op for op in step.ops.typed("Cast") if _to_or_from_half(op.dtype("SrcT"), op.dtype("DstT"))]
    if found:
        moved = sum(elements(op.shape) * (item_size(op.dtype("SrcT")) + item_size(op.dtype("DstT"))) for op in found)
        yield fact_of("half_casts", found, named=True, bytes=moved)


def _to_or_from_half(source: str, target: str) -> bool:
    return {source, target} <= {*_FLOAT} and (source in _HALF) != (target in _HALF)


def float64_ops(step: TracedStep) -> Iterator[Fact]:
    """Ops that compute in float64 on more than one number or cast it, with the inputs that are float64."""
    found = [
        op
        for op in step.ops.ops
        if "float64" in (op.dtype(), op.dtype("SrcT"))
        and op.type not in _NO_ARITHMETIC
        and (op.shape is None or elements(op.shape) > 1)
    ]
    inputs = [op for op in step.ops.typed("Placeholder") if op.dtype("dtype") == "float64"]
    if found or inputs:
        yield fact_of(
            "float64", found, named=True, bytes=sum(8 * elements(op.shape) for op in found), inputs=len(inputs)
        )


def odd_dimensions(step: TracedStep) -> Iterator[Fact]:
    """Forward matrix products and convolutions whose features are no multiples of 8, with their share of all such
    arithmetic. The batch is not among the features."""
    products = [op for op in step.ops.typed(*_MATMULS, *_CONVOLUTIONS) if op.phase == "forward"]
    work = {op: _flops(op, step.ops) for op in products}
    odd = {op: sizes for op in products if (sizes := [size for size in _features(op, step.ops) if size % _TILE])}
    if odd and sum(work.values()):
        named = [f"{op.layer or op.name}: {', '.join(map(str, sizes))}" for op, sizes in odd.items()]
        share = sum(work[op] for op in odd) / sum(work.values())
        yield fact_of("odd_dimensions", odd, listed(named, between="; "), flops_share=share)


def _flops(op: GraphOp, ops: StepOps) -> int:
    """Two for every multiplication of a forward product or convolution; 0 where shapes are not known."""
    if op.type in _CONVOLUTIONS:
        kernel = ops.read_shape(op, 1)
        return 2 * elements(op.shape) * (math.prod(kernel[:-1]) if kernel else 0)
    left = ops.read_shape(op, 0)
    return 2 * elements(op.shape) * (_inner(op, left) if left else 0)


def _inner(op: GraphOp, left: tuple[int, ...]) -> int:
    turned = any(op.node.attr[name].b for name in ("transpose_a", "adj_x") if name in op.node.attr)
    return left[-2] if turned else left[-1]


def _features(op: GraphOp, ops: StepOps) -> tuple[int, ...]:
    kernel = ops.read_shape(op, 1)
    if kernel is None or len(kernel) < 2:
        return ()
    return tuple(dict.fromkeys(size for size in kernel[-2:] if size > _FEW_CHANNELS))
