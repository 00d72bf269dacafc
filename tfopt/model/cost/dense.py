"""Dense, EinsumDense, Embedding: matrix products and rows of tables."""

from __future__ import annotations

import math

import keras

from tfopt.model.cost.activations import activation
from tfopt.model.cost.registry import formula
from tfopt.model.cost.work import Call, NoFormula, Operand, Work, contraction

__all__ = ["bias", "einsum_macs"]

_LAYERS = keras.layers


def bias(call: Call, size: int) -> Work:
    """A bias added to `size` values; its gradient is their sum."""
    variable = getattr(call.layer, "bias", None)
    return Work(other=size, backward=size * call.trains(variable)) if variable is not None else Work()


@formula(keras.layers.Dense)
def _dense(call: Call) -> Work:
    layer, size = call.layer, call.output.size
    macs = size * call.input.lengths[-1]
    product = contraction(macs, call.input.needs_gradient, call.trains(layer._kernel))
    return product + bias(call, size) + activation(call, layer.activation, size)


def einsum_macs(equation: str, *factors: tuple[int, ...]) -> int:
    """Multiply-accumulates of an Einstein sum: one for each combination of its labels.

    Of the factors with `...`, the largest says what it stands for.
    """
    lengths: dict[str, int] = {}
    for term, shape in zip(equation.split("->")[0].split(","), factors, strict=True):
        before, dots, after = term.partition("...")
        lengths.update(zip(before, shape, strict=False))
        lengths.update(zip(reversed(after), reversed(shape), strict=False))
        if dots:
            broadcast = math.prod(shape[len(before) : len(shape) - len(after)])
            lengths["..."] = max(broadcast, lengths.get("...", 1))
    return math.prod(lengths.values())


@formula(keras.layers.EinsumDense)
def _einsum_dense(call: Call) -> Work:
    layer, size = call.layer, call.output.size
    equation = layer.equation.replace(" ", "")
    macs = einsum_macs(equation, call.input.lengths, tuple(layer._kernel.shape))
    product = contraction(macs, call.input.needs_gradient, call.trains(layer._kernel))
    return product + bias(call, size) + activation(call, layer.activation, size)


@formula(keras.layers.Embedding)
def _embedding(call: Call) -> Work:
    """Rows are read where the indices say. The gradient adds each row's into the table: one addition per value."""
    layer, rows = call.layer, call.output.bytes
    trained = call.trains(layer._embeddings)
    # whatever else has a gradient for the table, or looks at it, has it for all of it
    whole = (
        layer.embeddings_regularizer or layer.embeddings_constraint or isinstance(layer, _LAYERS.ReversibleEmbedding)
    )
    return Work(
        backward=call.output.size * trained,
        moved=call.input.bytes + 2 * rows,
        backward_moved=3 * rows * trained,
        looked_up=0 if whole else call.output.size * trained,
    )


@formula(keras.layers.ReversibleEmbedding)
def _reversible_embedding(call: Call) -> Work:
    layer = call.layer
    if not call.arguments.get("reverse"):
        return _embedding(call)
    if layer.logit_soft_cap is not None:
        raise NoFormula
    table = layer._embeddings if layer.tie_weights else layer.reverse_embeddings
    hidden: Operand = call.input
    return contraction(call.output.size * hidden.lengths[-1], hidden.needs_gradient, call.trains(table))
