"""The arithmetic of TensorFlow ops from their static shapes: for layers without a closed form, and to check those."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tfopt.model.cost.graphs import bodies, live
from tfopt.model.sizes import item_bytes

__all__ = ["Count", "count_graph", "count_op"]


@dataclass
class Count:
    """Work of ops. `uncounted` says what was left out, by reason."""

    macs: int = 0
    other: int = 0
    bytes: int = 0
    backward: int = 0
    uncounted: dict[str, None] = field(default_factory=dict)

    @property
    def flops(self) -> int:
        """All operations."""
        return 2 * self.macs + self.other

    def add(self, more: Count, times: int = 1) -> None:
        """Add `times` as much as `more`."""
        self.macs += more.macs * times
        self.other += more.other * times
        self.bytes += more.bytes * times
        self.backward += more.backward * times
        self.uncounted.update(more.uncounted)


Rule = Callable[[Any], tuple[int, int]]  # op → multiply-accumulates, other operations


class _Unknown(Exception):
    """A shape depends on values."""


def _shape(tensor: Any) -> list[int]:
    if not tensor.shape.is_fully_defined():
        raise _Unknown
    return [int(length) for length in tensor.shape]


def _size(tensor: Any) -> int:
    return math.prod(_shape(tensor))


def _per_output(factor: int = 1) -> Rule:
    return lambda op: (0, factor * _size(op.outputs[0]))


def _per_input(factor: int = 1, at: int = 0) -> Rule:
    return lambda op: (0, factor * _size(op.inputs[at]))


def _matmul(op: Any) -> tuple[int, int]:
    flags = {attribute.name for attribute in op.op_def.attr}
    transposed = op.get_attr("transpose_a" if "transpose_a" in flags else "adj_x")
    return _size(op.outputs[0]) * _shape(op.inputs[0])[-2 if transposed else -1], 0


def _einsum(op: Any) -> tuple[int, int]:
    """Every combination of labels is one multiply-accumulate; without a label that is summed over, one product."""
    equation = op.get_attr("equation").decode()
    terms, result = equation.split("->")[0].split(","), equation.split("->")[1]
    if len(terms) == 1:
        size = _size(op.inputs[0])
        return 0, size if size > _size(op.outputs[0]) else 0
    lengths: dict[str, int] = {}
    for term, tensor in zip(terms, op.inputs, strict=True):
        shape = _shape(tensor)
        before, dots, after = term.partition("...")
        lengths.update(zip(before, shape, strict=False))
        lengths.update(zip(reversed(after), reversed(shape), strict=False))
        for at, length in enumerate(reversed(shape[len(before) : len(shape) - len(after)]) if dots else ()):
            lengths[f"...{at}"] = max(length, lengths.get(f"...{at}", 1))
    products = math.prod(lengths.values())
    summed = any(label not in result for label in lengths if not label.startswith("..."))
    return (products, 0) if summed else (0, products)


def _conv(op: Any) -> tuple[int, int]:
    filters = _shape(op.inputs[1])
    return _size(op.outputs[0]) * (math.prod(filters) // filters[-1]), 0


def _conv_backprop_input(op: Any) -> tuple[int, int]:
    filters = _shape(op.inputs[1])
    return _size(op.inputs[2]) * (math.prod(filters) // filters[-1]), 0


def _conv_backprop_filter(op: Any) -> tuple[int, int]:
    filters = _shape(op.outputs[0])
    return _size(op.inputs[2]) * (math.prod(filters) // filters[-1]), 0


def _depthwise(op: Any) -> tuple[int, int]:
    return _size(op.outputs[0]) * math.prod(_shape(op.inputs[1])[:2]), 0


def _depthwise_backprop_input(op: Any) -> tuple[int, int]:
    return _size(op.inputs[2]) * math.prod(_shape(op.inputs[1])[:2]), 0


def _depthwise_backprop_filter(op: Any) -> tuple[int, int]:
    return _size(op.inputs[2]) * math.prod(_shape(op.outputs[0])[:2]), 0


def _pool(op: Any) -> tuple[int, int]:
    return 0, _size(op.outputs[0]) * math.prod(op.get_attr("ksize"))


def _average_pool_gradient(op: Any) -> tuple[int, int]:
    return 0, _size(op.inputs[1]) * math.prod(op.get_attr("ksize"))


def _add_n(op: Any) -> tuple[int, int]:
    return 0, (len(op.inputs) - 1) * _size(op.outputs[0])


def _batch_norm(op: Any) -> tuple[int, int]:
    size = _size(op.inputs[0])
    return 0, (6 if op.get_attr("is_training") else 2) * size


def _free(op: Any) -> tuple[int, int]:
    return 0, 0


_ONCE = """Add AddV2 Sub Mul MulNoNan Div RealDiv DivNoNan Xdivy Xlogy FloorDiv FloorMod Mod TruncateMod Neg Inv
Reciprocal Maximum Minimum Abs Sign Floor Ceil Round Rint Square Sqrt Rsqrt Pow Exp Expm1 Log Log1p Sin Cos Tan Sinh
Cosh Tanh Asin Acos Atan Atan2 Asinh Acosh Atanh Sigmoid Softplus Softsign Relu Relu6 Elu Selu LeakyRelu Erf Erfc
Erfinv Ndtri Lgamma Digamma ComplexAbs BiasAdd BiasAddV1 ClipByValue IsNan IsInf IsFinite ReluGrad Relu6Grad
LeakyReluGrad EluGrad SeluGrad SoftplusGrad SoftsignGrad AssignAddVariableOp AssignSubVariableOp Cumsum Cumprod"""
_REDUCTIONS = """Sum Mean Prod Max Min BiasAddGrad EuclideanNorm SegmentSum SegmentMean SegmentMax UnsortedSegmentSum
UnsortedSegmentMax ResourceScatterAdd TensorScatterAdd ScatterNd SparseSegmentSum SparseSegmentMean ArgMax ArgMin
TopKV2"""
_COMPARISONS = "Greater GreaterEqual Less LessEqual Equal NotEqual"
_FREE = """Identity IdentityN Reshape Transpose Conj ConcatV2 ConcatOffset Pad PadV2 MirrorPad MirrorPadGrad Slice
StridedSlice StridedSliceGrad Split SplitV Pack Unpack Gather GatherV2 GatherNd ResourceGather ReadVariableOp Const
Placeholder PlaceholderWithDefault Cast ExpandDims Squeeze Tile BroadcastTo Fill ZerosLike OnesLike Select SelectV2
Reverse ReverseV2 SpaceToBatchND BatchToSpaceND SpaceToDepth DepthToSpace StopGradient PreventGradient Snapshot
EnsureShape Bitcast OneHot MatrixDiagV3 MatrixDiagPartV3 MatrixSetDiagV3 MatrixBandPart Roll Where DynamicStitch
DynamicPartition InvertPermutation ResizeNearestNeighbor ResizeNearestNeighborGrad Range LinSpace Shape NoOp Assert
AssignVariableOp VarHandleOp CheckNumerics Empty ExtractImagePatches ExtractVolumePatches TensorScatterUpdate
LookupTableFindV2 RaggedTensorToTensor RaggedRange Unique UniqueV2 BroadcastGradientArgs RandomUniform
RandomStandardNormal StatelessRandomUniformV2 StatelessRandomNormalV2 StatelessTruncatedNormalV2
StatelessRandomUniform StatelessRandomNormal StatelessRandomGetKeyCounter StatelessRandomGetAlg Real Imag Complex
XlaSharding"""

_RULES: dict[str, Rule] = {
    **dict.fromkeys(_ONCE.split(), _per_output()),
    **dict.fromkeys(_REDUCTIONS.split(), _per_input()),
    **dict.fromkeys(_COMPARISONS.split(), _per_output()),
    **dict.fromkeys(_FREE.split(), _free),
    **dict.fromkeys(("MatMul", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3"), _matmul),
    "Einsum": _einsum,
    **dict.fromkeys(("Conv1D", "Conv2D", "Conv3D"), _conv),
    **dict.fromkeys(("Conv2DBackpropInput", "Conv3DBackpropInputV2"), _conv_backprop_input),
    **dict.fromkeys(("Conv2DBackpropFilter", "Conv3DBackpropFilterV2"), _conv_backprop_filter),
    "DepthwiseConv2dNative": _depthwise,
    "DepthwiseConv2dNativeBackpropInput": _depthwise_backprop_input,
    "DepthwiseConv2dNativeBackpropFilter": _depthwise_backprop_filter,
    **dict.fromkeys(("MaxPool", "MaxPoolV2", "MaxPool3D", "AvgPool", "AvgPool3D"), _pool),
    **dict.fromkeys(("AvgPoolGrad", "AvgPool3DGrad"), _average_pool_gradient),
    **dict.fromkeys(("MaxPoolGrad", "MaxPool3DGrad"), _per_input(at=2)),  # each gradient is added at one place
    **dict.fromkeys(("Softmax", "LogSoftmax"), _per_output(5)),  # maximum, difference, exp, sum, quotient
    "SparseSoftmaxCrossEntropyWithLogits": _per_input(7),
    "SoftmaxCrossEntropyWithLogits": _per_input(8),
    "SquaredDifference": _per_output(2),
    "L2Loss": _per_input(2),
    **dict.fromkeys(("SigmoidGrad", "TanhGrad", "RsqrtGrad", "SqrtGrad"), _per_output(3)),
    "ReciprocalGrad": _per_output(3),
    "AddN": _add_n,
    "FusedBatchNormV3": _batch_norm,
    "FusedBatchNormGradV3": _per_input(11),
    "ResizeBilinear": _per_output(9),  # three interpolations a + (b − a)·t
    "ResizeBilinearGrad": _per_input(9),
    "ResizeBicubic": _per_output(40),
}
# Ops that pass a tensor on without moving its values.
_MOVELESS = """Identity IdentityN Reshape ExpandDims Squeeze StopGradient PreventGradient ReadVariableOp Const
Placeholder PlaceholderWithDefault EnsureShape Bitcast Snapshot CheckNumerics NoOp VarHandleOp Shape"""
_VIEWS = frozenset(_MOVELESS.split())


def count_op(op: Any, gradients: set[str] | None = None, owners: Any = None) -> Count:
    """The work of one op with that of the bodies it calls, each as often as it runs.

    Only floating-point work counts. `gradients` names the tensors that get one: matrix products then cost as much
    again for each such factor, other work as much again where the result has one. `owners` is a mapping of graph and
    op name: ops in it belong to somebody else.
    """
    inside = bodies(op)
    if inside:
        return _bodies(op, inside, gradients, owners or {})
    if not any(tensor.dtype.is_floating or tensor.dtype.is_complex for tensor in (*op.outputs, *op.inputs)):
        return Count()
    count = Count()
    rule = _RULES.get(op.type)
    if rule is None and not op.type.startswith(("TensorList", "TensorArray", "EmptyTensorList")):
        count.uncounted[f"{op.type} ops"] = None
    try:
        count.macs, count.other = rule(op) if rule is not None else (0, 0)
        if op.type not in _VIEWS:
            count.bytes = sum(_size(t) * item_bytes(t.dtype) for t in (*op.inputs, *op.outputs) if _solid(t))
    except _Unknown:
        count.uncounted["shapes that depend on values"] = None
    if gradients is not None and any(tensor.name in gradients for tensor in op.outputs):
        factors = sum(tensor.name in gradients for tensor in op.inputs)
        count.backward = 2 * count.macs * factors + count.other
    return count


def _solid(tensor: Any) -> bool:
    return tensor.dtype.name not in ("variant", "resource")


def _bodies(op: Any, inside: Iterable[Any], gradients: set[str] | None, owners: Any) -> Count:
    total, choices = Count(), list[Count]()
    differentiated = gradients is not None and any(tensor.name in gradients for tensor in op.outputs)
    for body in inside:
        count = Count()
        for found in _counts(body.graph, differentiated, owners):
            count.add(found)
        if body.alternative:
            choices.append(count)
        else:
            total.add(count, body.times or 1)
        if body.times is None:
            total.uncounted["loops of unknown length (counted as one turn)"] = None
    if choices:
        total.add(max(choices, key=lambda count: count.flops))
        total.uncounted["branches (the dearest is counted)"] = None
    return total


def _counts(graph: Any, differentiated: bool, owners: Any) -> Iterator[Count]:
    """The live ops of a body. Of its tensors, all floating-point ones are taken to get a gradient if any does."""
    needed = live(graph)
    names = {t.name for op in graph.get_operations() for t in op.outputs} if differentiated else None
    for op in graph.get_operations():
        if op.name in needed and (graph.name, op.name) not in owners:
            yield count_op(op, names, owners)


def count_graph(graph: Any) -> Count:
    """The work of all live ops of a graph."""
    total = Count()
    for found in _counts(graph, False, {}):
        total.add(found)
    return total
