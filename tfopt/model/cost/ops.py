"""The arithmetic of TensorFlow ops, by their type and the shapes of their operands."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tfopt.model.cost.dense import einsum_macs
from tfopt.model.cost.work import Operand

__all__ = ["RULES", "VIEWS", "OpShapes"]


@dataclass(frozen=True)
class OpShapes:
    """What the arithmetic of an op follows from. `attribute` gives the value of an attribute by name."""

    type: str
    inputs: tuple[Operand, ...]
    outputs: tuple[Operand, ...]
    attribute: Callable[[str], Any]


Rule = Callable[[OpShapes], tuple[int, int]]  # → multiply-accumulates, other operations


def _per_output(factor: int = 1) -> Rule:
    return lambda op: (0, factor * op.outputs[0].size)


def _per_input(factor: int = 1, at: int = 0) -> Rule:
    return lambda op: (0, factor * op.inputs[at].size)


def _matmul(transposed: str) -> Rule:
    return lambda op: (op.outputs[0].size * op.inputs[0].lengths[-2 if op.attribute(transposed) else -1], 0)


def _einsum(op: OpShapes) -> tuple[int, int]:
    """Without a label that is summed over, an Einstein sum is a product of values."""
    equation = op.attribute("equation").decode()
    terms, result = equation.split("->")
    if "," not in terms:
        summed = op.inputs[0].size
        return 0, summed if summed > op.outputs[0].size else 0
    products = einsum_macs(equation, *(factor.lengths for factor in op.inputs))
    labels = set(terms.replace("...", "…")) - {","}
    return (products, 0) if labels - set(result.replace("...", "…")) else (0, products)


def _taps(kernel: Operand) -> int:
    """Multiply-accumulates per value that a convolution gives, of a kernel (…taps, in per group, out)."""
    return math.prod(kernel.lengths[:-1])


def _depthwise_taps(kernel: Operand) -> int:
    return math.prod(kernel.lengths[:2])


def _convolution(taps: Callable[[Operand], int]) -> tuple[Rule, Rule, Rule]:
    """The convolution itself, and its gradients for the input and the kernel: all go through the same taps."""
    return (
        lambda op: (op.outputs[0].size * taps(op.inputs[1]), 0),
        lambda op: (op.inputs[2].size * taps(op.inputs[1]), 0),
        lambda op: (op.inputs[2].size * taps(op.outputs[0]), 0),
    )


def _pool(op: OpShapes) -> tuple[int, int]:
    return 0, op.outputs[0].size * math.prod(op.attribute("ksize"))


def _average_pool_gradient(op: OpShapes) -> tuple[int, int]:
    return 0, op.inputs[1].size * math.prod(op.attribute("ksize"))


def _add_n(op: OpShapes) -> tuple[int, int]:
    return 0, (len(op.inputs) - 1) * op.outputs[0].size


def _batch_norm(op: OpShapes) -> tuple[int, int]:
    return 0, (6 if op.attribute("is_training") else 2) * op.inputs[0].size


def _free(op: OpShapes) -> tuple[int, int]:
    return 0, 0


_CONV, _CONV_INPUT, _CONV_KERNEL = _convolution(_taps)
_DEPTHWISE, _DEPTHWISE_INPUT, _DEPTHWISE_KERNEL = _convolution(_depthwise_taps)

_ONCE = """Add AddV2 Sub Mul MulNoNan Div RealDiv DivNoNan Xdivy Xlogy FloorDiv FloorMod Mod TruncateMod Neg Inv
Reciprocal Maximum Minimum Abs Sign Floor Ceil Round Rint Square Sqrt Rsqrt Pow Exp Expm1 Log Log1p Sin Cos Tan Sinh
Cosh Tanh Asin Acos Atan Atan2 Asinh Acosh Atanh Sigmoid Softplus Softsign Relu Relu6 Elu Selu LeakyRelu Erf Erfc
Erfinv Ndtri Lgamma Digamma ComplexAbs BiasAdd BiasAddV1 ClipByValue IsNan IsInf IsFinite ReluGrad Relu6Grad
LeakyReluGrad EluGrad SeluGrad SoftplusGrad SoftsignGrad Cumsum Cumprod"""
_REDUCTIONS = """Sum Mean Prod Max Min BiasAddGrad EuclideanNorm SegmentSum SegmentMean SegmentMax UnsortedSegmentSum
UnsortedSegmentMax SparseSegmentSum SparseSegmentMean ArgMax ArgMin
TopKV2"""
_COMPARISONS = "Greater GreaterEqual Less LessEqual Equal NotEqual"
_FREE = """Identity IdentityN Reshape Transpose Conj ConcatV2 ConcatOffset Pad PadV2 MirrorPad MirrorPadGrad Slice
StridedSlice StridedSliceGrad Split SplitV Pack Unpack Gather GatherV2 GatherNd ResourceGather ReadVariableOp Const
Placeholder PlaceholderWithDefault Cast ExpandDims Squeeze Tile BroadcastTo Fill ZerosLike OnesLike Select SelectV2
Reverse ReverseV2 SpaceToBatchND BatchToSpaceND SpaceToDepth DepthToSpace StopGradient PreventGradient Snapshot
EnsureShape Bitcast OneHot MatrixDiagV3 MatrixDiagPartV3 MatrixSetDiagV3 MatrixBandPart Roll Where DynamicStitch
DynamicPartition InvertPermutation ResizeNearestNeighbor ResizeNearestNeighborGrad Range LinSpace Shape ShapeN NoOp
Assert AssignVariableOp VarHandleOp CheckNumerics Empty ExtractImagePatches ExtractVolumePatches TensorScatterUpdate
LookupTableFindV2 RaggedTensorToTensor RaggedRange Unique UniqueV2 BroadcastGradientArgs RandomUniform
RandomStandardNormal StatelessRandomUniformV2 StatelessRandomNormalV2 StatelessTruncatedNormalV2
StatelessRandomUniform StatelessRandomNormal StatelessRandomGetKeyCounter StatelessRandomGetAlg Real Imag Complex
XlaSharding"""

RULES: dict[str, Rule] = {
    **dict.fromkeys(_ONCE.split(), _per_output()),
    **dict.fromkeys(_REDUCTIONS.split(), _per_input()),
    **dict.fromkeys(_COMPARISONS.split(), _per_output()),
    **dict.fromkeys(_FREE.split(), _free),
    **dict.fromkeys(("AssignAddVariableOp", "AssignSubVariableOp", "ScatterNd"), _per_input(at=1)),
    **dict.fromkeys(("ResourceScatterAdd", "ResourceScatterSub", "TensorScatterAdd"), _per_input(at=2)),
    "MatMul": _matmul("transpose_a"),
    **dict.fromkeys(("BatchMatMul", "BatchMatMulV2", "BatchMatMulV3"), _matmul("adj_x")),
    "Einsum": _einsum,
    **dict.fromkeys(("Conv1D", "Conv2D", "Conv3D"), _CONV),
    **dict.fromkeys(("Conv2DBackpropInput", "Conv3DBackpropInputV2"), _CONV_INPUT),
    **dict.fromkeys(("Conv2DBackpropFilter", "Conv3DBackpropFilterV2"), _CONV_KERNEL),
    "DepthwiseConv2dNative": _DEPTHWISE,
    "DepthwiseConv2dNativeBackpropInput": _DEPTHWISE_INPUT,
    "DepthwiseConv2dNativeBackpropFilter": _DEPTHWISE_KERNEL,
    **dict.fromkeys(("MaxPool", "MaxPool3D", "AvgPool", "AvgPool3D"), _pool),
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
VIEWS = frozenset(_MOVELESS.split())
