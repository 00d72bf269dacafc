"""How the optimizer updates the variables: how many there are, and which large tables it touches as a whole."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import keras

from tfopt.records.advice import Fact
from tfopt.trace.scopes import OPTIMIZER
from tfopt.workload.facts.finding import TracedStep
from tfopt.workload.facts.ops import GraphOp, StepOps, elements

__all__ = ["dense_updates", "optimizer_updates"]

_SMALL = 16_384  # numbers; the update of a variable of this size takes about as long as starting its ops
_LOOKUPS = ("ResourceGather", "GatherV2")
_READS = ("ReadVariableOp", "Identity")
_SIZES = ("Shape", "VariableShape")
_NO_WORK = (*_READS, "IdentityN", "Const", "Placeholder")
_WITHOUT_FORWARD = ("backward", "optimizer")


def optimizer_updates(step: TracedStep) -> Iterator[Fact]:
    """The ops of the update, and how many variables it is for."""
    ops = [op for op in step.ops.ops if op.phase == "optimizer"]
    if ops:
        sizes = [math.prod(variable.shape) for variable in step.tree[0].layer.trainable_variables]
        yield Fact(
            kind="optimizer_updates",
            count=len(ops),
            numbers={"variables": len(sizes), "small_variables": sum(size < _SMALL for size in sizes)},
        )


def dense_updates(step: TracedStep) -> Iterator[Fact]:
    """Embeddings of which the step computes on every row, though its batch looked up a few: one fact per table.

    The gradient of a lookup has only the rows that were looked up. An optimizer that keeps it so (SGD without
    momentum) scatters them; others subtract a whole table of moments from it, which makes it one. Where the model reads
    the table in another way as well (a tied output, a regularizer), its gradient is dense whatever the optimizer does.
    """
    for node in step.tree:
        if isinstance(node.layer, keras.layers.Embedding) and node.layer.built:
            shape = tuple(node.layer.embeddings.shape)
            lookups = [op for op in step.ops.typed(*_LOOKUPS) if op.layer == node.path and op.phase == "forward"]
            looked_up = sum(elements(op.shape) for op in lookups) // shape[1]
            dense = list(_dense(step.ops, node.path, shape))
            if dense and 0 < looked_up < shape[0] and _only_looked_up(lookups, step.ops):
                yield Fact(
                    kind="dense_embedding_update",
                    count=len(dense),
                    layers=(node.path,),
                    numbers={"rows": shape[0], "looked_up": looked_up, "width": shape[1]},
                    ops=tuple(op.name for op in dense),
                )


def _dense(ops: StepOps, path: str, shape: tuple[int, ...]) -> Iterator[GraphOp]:
    """The ops of a table's shape in its update; clipping is part of it where it is this gradient's."""
    carrying = set()  # what works on this gradient, whole or in rows
    for op in ops.ops:
        if op.phase in _WITHOUT_FORWARD and op.type not in _NO_WORK:
            clips = op.layer == OPTIMIZER and op.shape is not None and op.shape[-1:] == shape[-1:]
            if op.layer == path or (clips and any(ops.source(op, at) in carrying for at in range(len(op.inputs)))):
                carrying.add(op)
                if op.shape == shape and op.phase == "optimizer":
                    yield op


def _only_looked_up(lookups: Sequence[GraphOp], ops: StepOps) -> bool:
    """Whether the model does nothing else with the table that these ops read."""
    readers = ops.readers()
    pending = [variable for op in lookups if (variable := _variable(op, ops)) is not None]
    while pending:
        for op in readers[(at := pending.pop()).function, at.name]:
            if op.phase in _WITHOUT_FORWARD or op.type in _SIZES or op in lookups:
                continue
            if op.type not in _READS:
                return False
            pending.append(op)
    return True


def _variable(op: GraphOp, ops: StepOps) -> GraphOp | None:
    """The variable that a lookup reads, as its function has it."""
    source = ops.source(op, 0)
    while source is not None and source.type in _READS:
        source = ops.source(source, 0)
    return source
