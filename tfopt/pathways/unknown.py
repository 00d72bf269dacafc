"""Layers that tfopt has no rule for: which of their weights are added, and whether their outputs are sums over paths.

Both are found by calling the layer, inside the trace, on other inputs than its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import keras
import tensorflow as tf

from tfopt.pathways.interception import keep_mask
from tfopt.pathways.nodes import Node, Trial

__all__ = ["are_added", "is_data", "trials"]

Invoke = Callable[[Any], Any]
"""Calls the layer on a structure like its own arguments."""

_DENSITIES = (0.05, 0.2, 0.6)  # of the impulses, one trial each
_SEED = 21
_MANY = 1000


def is_data(value: Any) -> bool:
    """Whether this is a tensor of floating-point numbers that was computed in this trace; others are constants."""
    return bool(tf.is_symbolic_tensor(value) and value.dtype.is_floating)


def are_added(invoke: Invoke, arguments: Any, values: Sequence[Any]) -> list[Any]:
    """For the value of each weight, as a boolean tensor: whether the layer depends on it at an input of zero. Such a
    weight is added; one that multiplies what comes in has no effect there."""
    with tf.GradientTape() as tape:
        tape.watch(values)
        outputs = _tensors(invoke(_replaced(arguments, tf.zeros_like)))
        total = sum(map(tf.reduce_sum, outputs), tf.zeros((), values[0].dtype))
    # A layer that divides by what is zero here gives no number, which is not greater than zero.
    return [
        tf.constant(False) if gradient is None else tf.reduce_any(tf.abs(gradient) > 0)
        for gradient in tape.gradient(total, values)
    ]


def trials(invoke: Invoke, arguments: Any, outputs: Any, node: Node, constants: bool) -> Iterator[Trial]:
    """Call a layer on random impulses, and on its own inputs with them added; `constants`: what it adds counts."""
    nothing = _tensors(invoke(_replaced(arguments, tf.zeros_like))) if constants else None
    for number, density in enumerate(_DENSITIES):
        impulses = _impulses(arguments, density, (_SEED + number, node.index * _MANY))
        alone = _tensors(invoke(_replaced(arguments, impulses)))
        together = _tensors(invoke(_replaced(arguments, partial(_increased, impulses))))
        before = _tensors(outputs)
        for place, (own, single, both) in enumerate(zip(before, alone, together, strict=True)):
            largest = tf.reduce_max(tf.abs(both))
            relative = tf.where(largest > 0, 1 / largest, 1)
            apart = own + single - both - (0 if nothing is None else nothing[place])
            yield Trial(
                node.index,
                least=tf.reduce_min(single) * relative,
                increase=tf.reduce_min(both - own) * relative,
                additivity=tf.reduce_max(tf.abs(apart)) * relative,
            )


def _impulses(arguments: Any, density: float, seed: tuple[int, int]) -> Callable[[Any], Any]:
    """What gives for each tensor random numbers at some of its places, up to its largest, and zero at the others."""
    drawn: dict[int, Any] = {}

    def impulse(leaf: Any) -> Any:
        if id(leaf) not in drawn:
            shape = (2, *tf.unstack(tf.shape(leaf)))
            draw = tf.random.stateless_uniform(shape, (seed[0], seed[1] + len(drawn)), dtype=leaf.dtype)
            drawn[id(leaf)] = tf.where(draw[0] < density, draw[1], 0) * tf.reduce_max(tf.abs(leaf))
        return drawn[id(leaf)]

    return impulse


def _increased(impulse: Callable[[Any], Any], leaf: Any) -> Any:
    return leaf + impulse(leaf)


def _replaced(arguments: Any, change: Callable[[Any], Any]) -> Any:
    return keras.tree.map_structure(lambda leaf: keep_mask(leaf, change(leaf)) if is_data(leaf) else leaf, arguments)


def _tensors(outputs: Any) -> list[Any]:
    return [leaf for leaf in keras.tree.flatten(outputs) if is_data(leaf)]
