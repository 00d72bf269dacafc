"""Layers that tfopt has no rule for: which of their weights are added, and whether their outputs are sums over paths.

Both are found by calling the layer, inside the trace, on other inputs and with other weights than its own. Python
between layers cannot be called again: its gradients tell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, MutableMapping, Sequence
from functools import partial
from typing import Any

import keras
import tensorflow as tf

from tfopt.pathways.interception import keep_mask
from tfopt.pathways.nodes import INPUT, Node, Trial, is_data

__all__ = ["are_added", "between", "trials", "weight_trials"]

Invoke = Callable[[Any], Any]
"""Calls the layer on a structure like its own arguments."""

# Of the impulses in each trial: at how many places there is one, and how large they are beside the layer's own input.
# Large ones find what clips or switches beyond the values at hand.
_TRIALS = {"float64": ((0.05, 1.0), (0.2, 2.0**24), (0.6, 1.0)), "float32": ((0.05, 1.0), (0.2, 2.0**8), (0.6, 1.0))}
_FEW = (0.05, 0.2, 0.5, 0.5)  # of the elements that Python made, how many are looked at together
_SAME = 1e-6
_SCALES = (2.0**-20, 2.0**20)
_SEED = 21
_MANY = 1000


def are_added(invoke: Invoke, arguments: Any, values: Sequence[Any]) -> list[tuple[Any, Any]]:
    """For the value of each weight, as boolean tensors: whether the layer depends on it at an input of zero, and
    whether otherwise than there at its own. A weight that is added does the first, one that multiplies what comes in
    has no effect at zero; one that does both is neither."""
    at_zero, at_own = (_gradients(invoke, each, values) for each in (_replaced(arguments, tf.zeros_like), arguments))
    # A layer that divides by what is zero here gives no number, which is not greater than zero.
    return [
        (_largest(zero) > 0, (_largest(zero) > 0) & (_largest(own - zero) > _SAME * _largest(zero)))
        for zero, own in zip(at_zero, at_own, strict=True)
    ]


def _gradients(invoke: Invoke, arguments: Any, values: Sequence[Any]) -> list[Any]:
    """Of the sum of a layer's outputs, with respect to its weights."""
    with tf.GradientTape() as tape:
        tape.watch(values)
        outputs = _tensors(invoke(arguments))
        total = sum((tf.reduce_sum(tf.cast(each, values[0].dtype)) for each in outputs), tf.zeros((), values[0].dtype))
    return list(tape.gradient(total, values, unconnected_gradients=tf.UnconnectedGradients.ZERO))


def weight_trials(
    call: Callable[[], Any], values: MutableMapping[int, Any], weights: Iterable[int], outputs: Any, node: Node
) -> Iterator[Trial]:
    """Call a layer with each of its weights at zero and doubled: whether it is linear in it, so that weight × gradient
    is a sum over paths. `values` are those in the trace, by the variables' ids, `weights` the ids."""
    before = _tensors(outputs)
    for each in weights:
        value = values[each]
        found = []
        for factor in (0.0, 2.0):
            values[each] = value * factor
            found.append(_tensors(call()))
        values[each] = value
        for one, none, two in zip(before, *found, strict=True):
            yield Trial(node.index, weights=_largest(two + none - 2 * one) / _unit(_largest(two)))


def trials(invoke: Invoke, arguments: Any, outputs: Any, node: Node, constants: bool) -> Iterator[Trial]:
    """Call a layer on random impulses, and on random inputs as large as its own with them added; `constants`: what it
    adds counts."""
    nothing = _tensors(invoke(_replaced(arguments, tf.zeros_like))) if constants else None
    dtype = next((leaf.dtype.name for leaf in keras.tree.flatten(arguments) if is_data(leaf)), "float64")
    uneven = _impulses(arguments, 1.0, 1.0, (_SEED - 1, node.index * _MANY))  # equal inputs hide what sorts them
    before = _tensors(invoke(_replaced(arguments, uneven)))
    for number, (density, size) in enumerate(_TRIALS[dtype]):
        impulses = _impulses(arguments, density, size, (_SEED + number, node.index * _MANY))
        alone = _tensors(invoke(_replaced(arguments, impulses)))
        together = _tensors(invoke(_replaced(arguments, partial(_increased, uneven, impulses))))
        for place, (own, single, both) in enumerate(zip(before, alone, together, strict=True)):
            relative = 1 / _unit(_largest(both))
            apart = own + single - both - (0 if nothing is None else nothing[place])
            yield Trial(
                node.index,
                least=tf.reduce_min(single) * relative,
                increase=tf.reduce_min(both - own) * relative,
                additivity=_largest(apart) * relative,
            )
    choices = _choices(outputs)
    for scale in _SCALES if choices else ():
        others = _choices(invoke(_replaced(arguments, partial(_scaled, scale))))
        changed = [tf.reduce_any(tf.not_equal(*each)) for each in zip(choices, others, strict=True)]
        yield Trial(node.index, additivity=tf.cast(tf.reduce_any(changed), tf.float64))


def between(tensor: Any, sources: Sequence[Any]) -> Iterator[Trial]:
    """What Python made between layers: whether it falls when one of the tensors that it was made of grows. Gradients of
    random few of its elements: those of all of them, as the pass has them, may hide a difference of neighbours."""
    for number, density in enumerate(_FEW):
        draw = tf.random.stateless_uniform(tf.shape(tensor), (_SEED, number), dtype=tensor.dtype)
        chosen = tf.cast(draw < _at_least_some(density, tensor), tensor.dtype)
        found = tf.gradients(tensor, sources, chosen, stop_gradients=sources)
        for gradient in found:
            if gradient is not None:
                yield Trial(INPUT, increase=tf.reduce_min(gradient) / _unit(_largest(gradient)))


def _at_least_some(density: float, tensor: Any) -> Any:
    """A density at which a small tensor has an impulse, too."""
    few = 2 / tf.cast(tf.maximum(tf.size(tensor), 1), tensor.dtype)
    return tf.maximum(tf.cast(density, tensor.dtype), tf.minimum(few, tf.cast(0.6, tensor.dtype)))


def _largest(tensor: Any) -> Any:
    return tf.reduce_max(tf.abs(tensor))


def _unit(largest: Any) -> Any:
    return tf.where(tf.equal(largest, 0), tf.ones_like(largest), largest)


def _choices(outputs: Any) -> list[Any]:
    """Comparisons, places of maxima, and whatever else is computed from numbers and is none."""
    return [leaf for leaf in keras.tree.flatten(outputs) if tf.is_tensor(leaf) and not leaf.dtype.is_floating]


def _impulses(arguments: Any, density: float, size: float, seed: tuple[int, int]) -> Callable[[Any], Any]:
    """What gives for each tensor random numbers at some of its places, up to `size` times its largest, and zero at the
    others."""
    drawn: dict[int, Any] = {}

    def impulse(leaf: Any) -> Any:
        if id(leaf) not in drawn:
            shape = (2, *tf.unstack(tf.shape(leaf)))
            draw = tf.random.stateless_uniform(shape, (seed[0], seed[1] + len(drawn)), dtype=leaf.dtype)
            drawn[id(leaf)] = tf.where(draw[0] < _at_least_some(density, leaf), draw[1], 0) * (size * _largest(leaf))
        return drawn[id(leaf)]

    return impulse


def _increased(before: Callable[[Any], Any], impulse: Callable[[Any], Any], leaf: Any) -> Any:
    return before(leaf) + impulse(leaf)


def _scaled(scale: float, leaf: Any) -> Any:
    return leaf * tf.cast(scale, leaf.dtype)


def _replaced(arguments: Any, change: Callable[[Any], Any]) -> Any:
    return keras.tree.map_structure(lambda leaf: keep_mask(leaf, change(leaf)) if is_data(leaf) else leaf, arguments)


def _tensors(outputs: Any) -> list[Any]:
    return [leaf for leaf in keras.tree.flatten(outputs) if is_data(leaf)]
