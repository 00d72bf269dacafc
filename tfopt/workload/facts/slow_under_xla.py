"""Constructs for which XLA has no fast kernel on CPU. How slow they are was measured: see docs/advice.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from tfopt.records.advice import Fact
from tfopt.workload.facts.finding import TracedStep, fact_of, layers_of
from tfopt.workload.facts.ops import GraphOp, StepOps, elements

__all__ = ["convolutions_under_xla", "depthwise", "lone_random", "max_pool_gradients"]

_DEPTHWISE = "DepthwiseConv2dNative"
_RANDOM = (
    "StatelessRandomUniformV2",
    "StatelessRandomNormalV2",
    "StatelessTruncatedNormalV2",
    "StatelessRandomUniformIntV2",
    "StatelessRandomUniformFullIntV2",
)
_AUTO_SELECT = 3  # tf.random.Algorithm.AUTO_SELECT
_POOL_GRADIENTS = ("MaxPoolGrad", "MaxPoolGradV2", "MaxPool3DGrad")


def depthwise(step: TracedStep) -> Iterator[Fact]:
    """Depthwise convolutions (forward), with the multiplications of the whole step in them."""
    forward = list(step.ops.typed(_DEPTHWISE))
    gradients = list(step.ops.typed(f"{_DEPTHWISE}BackpropInput", f"{_DEPTHWISE}BackpropFilter"))
    if forward:
        yield fact_of(
            "depthwise_convolution",
            forward,
            forward_macs=sum(_depthwise_macs(op, step.ops) for op in forward),
            gradient_ops=len(gradients),
        )


def _depthwise_macs(op: GraphOp, ops: StepOps) -> int:
    kernel = ops.read_shape(op, 1)
    return elements(op.shape) * (kernel[0] * kernel[1] if kernel else 0)


def lone_random(step: TracedStep) -> Iterator[Fact]:
    """Random tensors whose generator TensorFlow chooses (Keras's Dropout and noise layers), and that are the only ones
    of their shape in the step.

    XLA makes one function of each shape. What calls a function several times keeps it; the code of a single call is
    merged into what reads it, and there computed number by number: 380 ns each against 19 (docs/advice.md).
    """
    found = [op for op in step.ops.typed(*_RANDOM) if step.ops.constant(op, len(op.inputs) - 1) == (_AUTO_SELECT,)]
    shapes = Counter((op.type, op.shape) for op in found)
    lone = [op for op in found if shapes[op.type, op.shape] == 1]
    if lone:
        yield fact_of("lone_random", lone, values=sum(elements(op.shape) for op in lone))


def max_pool_gradients(step: TracedStep) -> Iterator[Fact]:
    """Gradients of maximum pooling, with the size of what was pooled."""
    found = list(step.ops.typed(*_POOL_GRADIENTS))
    if found:
        yield fact_of("max_pool_gradient", found, values=sum(elements(op.shape) for op in found))


def convolutions_under_xla(step: TracedStep) -> Iterator[Fact]:
    """Convolutions that Keras compiles with XLA even in a graph, since TensorFlow has no kernel for them on CPU
    (`keras.src.backend.tensorflow.nn.conv`): grouped ones, and 3-D ones with the channels first."""
    compiled = [op for op in step.ops.ops if _compiled(op)]
    found = [op for op in compiled if op.phase == "forward"]
    if found:
        yield Fact(
            kind="convolution_under_xla",
            count=len(found),
            layers=layers_of(found),
            ops=tuple(op.name for op in compiled),  # with those of the gradient
        )


def _compiled(op: GraphOp) -> bool:
    return "_XlaMustCompile" in op.node.attr and op.node.attr["_XlaMustCompile"].b and "_conv_xla_" in _called(op)


def _called(op: GraphOp) -> str:
    return str(op.node.attr["f"].func.name) if "f" in op.node.attr else ""
