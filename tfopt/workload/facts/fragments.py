"""Parts of a step that leave the graph's fast kernels: Python functions, and recurrences that run as loops."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras

from tfopt.records.advice import Fact
from tfopt.workload.facts.finding import TracedStep, fact_of
from tfopt.workload.facts.ops import GraphOp

__all__ = ["ops_in_all", "python_functions", "recurrent_loops", "unfused_recurrences"]

_PYTHON = ("PyFunc", "PyFuncStateless", "EagerPyFunc")
_LOOPS = ("While", "StatelessWhile")
_FUSED = (keras.layers.LSTM, keras.layers.GRU)


def ops_in_all(step: TracedStep) -> Iterator[Fact]:
    """How many ops the step has, those of a loop's body once."""
    if step.ops.ops:
        yield Fact(kind="ops", count=len(step.ops.ops))


def python_functions(step: TracedStep) -> Iterator[Fact]:
    """Calls back into Python: tf.py_function, tf.numpy_function."""
    found = list(step.ops.typed(*_PYTHON))
    if found:
        yield fact_of("python_function", found, named=True)


def recurrent_loops(step: TracedStep) -> Iterator[Fact]:
    """Recurrent layers whose time steps run as a loop, one after the other."""
    recurrent = {node.path for node in step.tree if isinstance(node.layer, keras.layers.RNN)}
    found = [op for op in step.ops.typed(*_LOOPS) if op.phase == "forward" and op.layer in recurrent]
    if found:
        yield fact_of("recurrent_loop", found, time_steps=max(_time_steps(op, step) for op in found))


def _time_steps(loop: GraphOp, step: TracedStep) -> int:
    """The length of the sequence that a layer's loop runs over; 0 where it is not known."""
    unstacked = [op for op in step.ops.typed("TensorListFromTensor") if op.layer == loop.layer]
    return max((shape[0] for op in unstacked if (shape := step.ops.read_shape(op, 0))), default=0)


def unfused_recurrences(step: TracedStep) -> Iterator[Fact]:
    """LSTM and GRU layers whose arguments exclude cuDNN's kernel, with the first that does."""
    reasons = {
        node.path: reason for node in step.tree if isinstance(node.layer, _FUSED) and (reason := _excluding(node.layer))
    }
    if reasons:
        detail = "; ".join(f"{path}: {reason}" for path, reason in reasons.items())
        yield Fact(kind="unfused_recurrence", count=len(reasons), layers=tuple(reasons), detail=detail)


def _excluding(layer: Any) -> str:
    """The argument of an LSTM or GRU that cuDNN does not allow, '' where all are well.

    As in `keras.src.backend.tensorflow.rnn.cudnn_ok` and `keras.src.layers.rnn.lstm.LSTM.inner_loop`.
    """
    wanted = (
        ("activation", keras.activations.tanh),
        ("recurrent_activation", keras.activations.sigmoid),
        ("unroll", False),
        ("use_bias", True),
        ("reset_after", True),
        ("recurrent_dropout", 0),
    )
    for name, value in wanted:
        given = getattr(layer, name, value)
        if given != value:
            return f"{name}={getattr(given, '__name__', given)}"
    return "use_cudnn=False" if layer.use_cudnn is False else ""
