"""How the optimizer updates the variables: how many there are, and which large tables it touches as a whole."""

from __future__ import annotations

import math
from collections.abc import Iterator

import keras

from tfopt.records.advice import Fact
from tfopt.trace.scopes import OPTIMIZER
from tfopt.workload.facts.finding import TracedStep
from tfopt.workload.facts.ops import GraphOp, elements

__all__ = ["dense_updates", "optimizer_updates"]

_SMALL = 16_384  # numbers; the update of a variable of this size takes about as long as starting its ops
_LOOKUPS = ("ResourceGather", "GatherV2")
_NO_WORK = ("ReadVariableOp", "Identity", "IdentityN", "Const", "Placeholder")


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
    momentum) scatters them; others subtract a whole table of moments from it, which makes it one.
    """
    for node in step.tree:
        if isinstance(node.layer, keras.layers.Embedding) and node.layer.built:
            shape = tuple(node.layer.embeddings.shape)
            dense = [op for op in step.ops.ops if op.shape == shape and _updates(op, node.path)]
            lookups = [op for op in step.ops.typed(*_LOOKUPS) if op.layer == node.path and op.phase == "forward"]
            looked_up = sum(elements(op.shape) for op in lookups) // shape[1]
            if dense and 0 < looked_up < shape[0]:
                yield Fact(
                    kind="dense_embedding_update",
                    count=len(dense),
                    layers=(node.path,),
                    numbers={"rows": shape[0], "looked_up": looked_up, "width": shape[1]},
                    ops=tuple(op.name for op in dense),
                )


def _updates(op: GraphOp, path: str) -> bool:
    """Whether an op works on the gradient or the update of a layer's table (or, in clipping, of all variables)."""
    return op.phase in ("backward", "optimizer") and op.layer in (path, OPTIMIZER) and op.type not in _NO_WORK
