"""Transposes and reshapes that another one undoes, with nothing between them that minds the layout."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tfopt.records.advice import Fact
from tfopt.workload.facts.finding import TracedStep, fact_of
from tfopt.workload.facts.ops import GraphOp, StepOps

__all__ = ["needless_transposes"]

# Element by element: the place of the tensor whose layout they keep.
_ELEMENTWISE = {
    **dict.fromkeys(
        (
            *("Identity", "Cast", "Relu", "Relu6", "Elu", "Selu", "LeakyRelu", "Softplus", "Softsign", "Tanh"),
            *("Sigmoid", "Neg", "Abs", "Exp", "Log", "Log1p", "Sqrt", "Rsqrt", "Square", "Erf", "StopGradient"),
            *("ReluGrad", "Relu6Grad", "EluGrad", "SeluGrad", "LeakyReluGrad", "SoftplusGrad", "SoftsignGrad"),
        ),
        0,
    ),
    **dict.fromkeys(("TanhGrad", "SigmoidGrad"), 1),
}
_Readers = Mapping[tuple[str, str], Sequence[GraphOp]]


def needless_transposes(step: TracedStep) -> Iterator[Fact]:
    """Pairs of transposes of which the second undoes the first, transposes that change nothing, and reshapes of what
    has just been reshaped."""
    readers = step.ops.readers()
    transposes = {id(op): op for last in step.ops.typed("Transpose") for op in _undone(last, step.ops, readers)}
    reshapes = [op for op in step.ops.typed("Reshape") if _only_reshaped(op, readers)]
    if transposes:
        found = [*transposes.values(), *reshapes]
        yield fact_of("needless_transposes", found, named=True, transposes=len(transposes), reshapes=len(reshapes))


def _undone(last: GraphOp, ops: StepOps, readers: _Readers) -> tuple[GraphOp, ...]:
    order = _permutation(last, ops)
    if order is None:
        return ()
    if order == tuple(range(len(order))):
        return (last,)
    at = ops.source(last, 0)
    while at is not None and at.type in _ELEMENTWISE and _read_once(at, readers):
        at = ops.source(at, _ELEMENTWISE[at.type])
    if at is None or at.type != "Transpose" or not _read_once(at, readers):
        return ()
    first = _permutation(at, ops)
    undoes = first is not None and len(first) == len(order) and all(first[axis] == n for n, axis in enumerate(order))
    return (at, last) if undoes else ()


def _permutation(op: GraphOp, ops: StepOps) -> tuple[int, ...] | None:
    constant = ops.constant(op, 1)
    if constant is not None:
        return constant
    source = ops.source(op, 1)
    if source is None or source.type != "InvertPermutation":
        return None
    order = ops.constant(source, 0)
    return tuple(order.index(axis) for axis in range(len(order))) if order is not None else None


def _read_once(op: GraphOp, readers: _Readers) -> bool:
    """Whether one op of the same phase reads it; what the gradient reads besides follows its layout."""
    return sum(reader.phase == op.phase for reader in readers.get((op.function, op.name), ())) == 1


def _only_reshaped(op: GraphOp, readers: _Readers) -> bool:
    found = readers.get((op.function, op.name), ())
    return bool(found) and all(reader.type == "Reshape" for reader in found)
