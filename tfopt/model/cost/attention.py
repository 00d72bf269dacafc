"""Attention: the two products between queries, keys and values, and what lies between them.

The projections of a MultiHeadAttention and its dropout are layers with rows of their own.
"""

from __future__ import annotations

import math
from typing import Any

import keras

from tfopt.model.cost.activations import SOFTMAX
from tfopt.model.cost.registry import formula
from tfopt.model.cost.work import Call, NoFormula, Operand, Work, elementwise, operands
from tfopt.model.sizes import item_bytes

__all__: list[str] = []


@formula(keras.layers.MultiHeadAttention)
def _multi_head(call: Call) -> Work:
    layer = call.layer
    query, value = call.arguments["query"], call.arguments["value"]
    axes = layer._attention_axes
    batch = math.prod(length for axis, length in enumerate(query.lengths[:-1]) if axis not in axes)
    targets = math.prod(query.lengths[axis] for axis in axes)
    sources = math.prod(value.lengths[axis] for axis in axes)
    # Keras's one kernel for all takes four dimensions, and gives no scores
    fused = not (layer.dropout or call.arguments.get("return_attention_scores") or len(query.lengths) != 3)
    gates = getattr(layer, "_use_gate", False)
    return _heads(call, batch, layer.num_heads, targets, sources, layer.key_dim, layer.value_dim, fused, gates)


@formula(keras.layers.GroupQueryAttention)
def _grouped_query(call: Call) -> Work:
    layer = call.layer
    batch, targets, _ = call.arguments["query"].lengths
    sources, width = call.arguments["value"].lengths[1], layer.head_dim
    fused = not (layer.dropout or call.arguments.get("return_attention_scores"))
    gates = getattr(layer, "use_gate", False)
    return _heads(call, batch, layer.num_query_heads, targets, sources, width, width, fused, gates)


def _heads(
    call: Call, batch: int, heads: int, targets: int, sources: int, key: int, value: int, fused: bool, gates: bool
) -> Work:
    """Scores and their use, for all heads. Where it is not `fused`, the queries are scaled instead of the scores, and
    the softmax is a layer of its own."""
    scores = batch * heads * targets * sources
    macs = scores * (key + value)
    item = item_bytes(call.output.dtype)
    queries, results = batch * heads * targets * key, batch * heads * targets * value
    factors = (queries + batch * heads * sources * (key + value)) * item
    work = Work(macs, 0, 4 * macs * call.backward, factors + (results + 2 * scores) * item)
    if fused:
        work += elementwise(call, scores) + elementwise(call, scores, *SOFTMAX)
    else:
        work += elementwise(call, queries)
    if gates:
        work += elementwise(call, results, 1, 2)
    assert work.moved is not None
    return work + Work(backward_moved=(work.moved + factors) * call.backward)


def _scored(call: Call) -> tuple[Operand, Operand, Operand]:
    """Query, value and key of an Attention layer; NoFormula where scores are masked or dropped."""
    layer = call.layer
    if (
        (call.training and layer.dropout)
        or operands(call.arguments.get("mask"))
        or call.arguments.get("use_causal_mask")
    ):
        raise NoFormula
    tensors = operands(call.arguments["inputs"])
    return tensors[0], tensors[1], tensors[-1]


@formula(keras.layers.Attention)
def _attention(call: Call) -> Work:
    query, value, key = _scored(call)
    layer: Any = call.layer
    if layer.score_mode != "dot":
        raise NoFormula
    scores = query.size // query.lengths[-1] * value.lengths[-2]
    work = _products(call, scores, (query, key), query.lengths[-1]) + elementwise(call, scores, *SOFTMAX)
    if layer.scale is not None:
        work += elementwise(call, scores) + Work(backward=2 * scores * call.trains(layer.scale))
    return work + _used(call, scores, value)


@formula(keras.layers.AdditiveAttention)
def _additive(call: Call) -> Work:
    """Σ scale·tanh(q + k): four operations for each value of each pair of a query and a key."""
    query, value, _ = _scored(call)
    scores = query.size // query.lengths[-1] * value.lengths[-2]
    pairs = scores * query.lengths[-1]
    learned = Work(backward=2 * pairs * call.trains(call.layer.scale))
    work = elementwise(call, pairs, 4, 6) + learned + elementwise(call, scores, *SOFTMAX)
    return work + _used(call, scores, value)


def _used(call: Call, scores: int, value: Operand) -> Work:
    """The sum of values by their scores, which always need a gradient where one comes back."""
    macs = scores * value.lengths[-1]
    return Work(macs, backward=2 * macs * (call.backward + value.needs_gradient))


def _products(call: Call, scores: int, factors: tuple[Operand, Operand], depth: int) -> Work:
    macs = scores * depth
    return Work(macs, backward=2 * macs * sum(factor.needs_gradient for factor in factors))
