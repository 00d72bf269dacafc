"""Constructs for which XLA has no fast kernel on CPU. How slow they are was measured: see docs/advice.md."""

from __future__ import annotations

from collections.abc import Iterator

from tfopt.records.advice import Fact
from tfopt.workload.facts.finding import TracedStep, fact_of
from tfopt.workload.facts.ops import GraphOp, StepOps, elements

__all__ = ["convolutions_under_xla", "default_random", "depthwise", "max_pool_gradients"]

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


def default_random(step: TracedStep) -> Iterator[Fact]:
    """Random tensors whose generator TensorFlow chooses: Keras's Dropout and noise layers."""
    found = [op for op in step.ops.typed(*_RANDOM) if step.ops.constant(op, len(op.inputs) - 1) == (_AUTO_SELECT,)]
    if found:
        yield fact_of("default_random", found, values=sum(elements(op.shape) for op in found))


def max_pool_gradients(step: TracedStep) -> Iterator[Fact]:
    """Gradients of maximum pooling, with the size of what was pooled."""
    found = list(step.ops.typed(*_POOL_GRADIENTS))
    if found:
        yield fact_of("max_pool_gradient", found, values=sum(elements(op.shape) for op in found))


def convolutions_under_xla(step: TracedStep) -> Iterator[Fact]:
    """Convolutions that Keras compiles with XLA even in a graph, since TensorFlow has no kernel for them on CPU
    (`keras.src.backend.tensorflow.nn.conv`): grouped ones, and 3-D ones with the channels first."""
    found = [op for op in step.ops.ops if _compiled(op) and op.phase == "forward"]
    if found:
        yield fact_of("convolution_under_xla", found)


def _compiled(op: GraphOp) -> bool:
    return "_XlaMustCompile" in op.node.attr and op.node.attr["_XlaMustCompile"].b and "conv_xla" in _called(op)


def _called(op: GraphOp) -> str:
    return str(op.node.attr["f"].func.name) if "f" in op.node.attr else ""
