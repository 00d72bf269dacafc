"""What TensorFlow's CPU kernels do with memory, by op type. From their sources (tensorflow/core/kernels, 2.21)."""

from __future__ import annotations

from tfopt.workload.peak.program import Kind

__all__ = ["KINDS", "PRODUCTS", "REUSES"]

_SHARING = """
    Bitcast CheckNumerics EnsureShape ExpandDims Identity IdentityN PlaceholderWithDefault PreventGradient
    Reshape Snapshot Squeeze StopGradient TensorListGetItem"""
_FREE = "Const EmptyTensorList NoOp Placeholder TensorListReserve VarHandleOp"

KINDS: dict[str, Kind] = {
    **dict.fromkeys(_SHARING.split(), "share"),
    **dict.fromkeys(_FREE.split(), "free"),
    "ReadVariableOp": "read",
    "AssignVariableOp": "assign",
    "AssignAddVariableOp": "update",
    "AssignSubVariableOp": "update",
    "TensorListPushBack": "push",
    "TensorListSetItem": "push",
    "TensorListPopBack": "pop",
}

_UNARY = """
    Abs Acos Acosh Asin Asinh Atan Atanh Ceil ClipByValue Cos Cosh Elu Erf Erfc Erfinv Exp Expm1 Floor
    FusedBatchNorm FusedBatchNormGradV3 FusedBatchNormV3 Inv LeakyRelu Log Log1p LogSoftmax LogicalNot Neg Reciprocal
    Relu Relu6 Rint Round Rsqrt Selu Sigmoid Sign Sin Sinh Softmax Softplus Softsign Sqrt Square Tan Tanh"""
_BINARY = """
    Add AddV2 Atan2 BiasAdd Div DivNoNan EluGrad FloorDiv FloorMod LeakyReluGrad LogicalAnd LogicalOr Maximum Minimum
    Mod Mul MulNoNan Pow RealDiv Relu6Grad ReluGrad RsqrtGrad SeluGrad SigmoidGrad SoftplusGrad SoftsignGrad SqrtGrad
    SquaredDifference Sub TanhGrad Xdivy Xlog1py Xlogy"""

# Inputs whose memory the first output takes over where nothing else needs it (`forward_input_or_allocate_output`).
REUSES: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(_UNARY.split(), (0,)),
    **dict.fromkeys(_BINARY.split(), (0, 1)),
    "Select": (1, 2),
    "SelectV2": (1, 2),
    "AddN": tuple(range(16)),
}

# What computes much for each byte that it touches.
_PRODUCTS = """
    BatchMatMul BatchMatMulV2 BatchMatMulV3 Conv2D Conv2DBackpropFilter Conv2DBackpropInput Conv3D
    Conv3DBackpropFilterV2 Conv3DBackpropInputV2 DepthwiseConv2dNative DepthwiseConv2dNativeBackpropFilter
    DepthwiseConv2dNativeBackpropInput Einsum MatMul"""
PRODUCTS = frozenset(_PRODUCTS.split())
