"""Masks that hold while a model trains: what is removed stays exactly zero, and the rest learns as if it were all.

Three things together, since each alone is wrong for some optimizer. Gradients are masked before the optimizer sees
them, so that norms that clip and ratios that scale are those of what is kept. Weights are masked after each update, as
a constraint: Muon moves weights without a gradient. Slots are masked whenever masks are: old momentum would move what
is removed, and a moving average would bring it back when `fit` ends.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfopt.errors import UsageError
from tfopt.model.patching import patching
from tfopt.pruning.prunable import Masks, Prunable
from tfopt.pruning.slots import AVERAGES, slots_of
from tfopt.workload.preserve import optimizers_of

__all__ = ["Masking", "masked"]


@dataclass(frozen=True, eq=False)
class _Held:
    """The constraint of a masked weight: its own first, if it has one, then the mask."""

    mask: Any
    own: Callable[[Any], Any] | None

    def __call__(self, weight: Any) -> Any:
        return tf.math.multiply_no_nan(weight if self.own is None else self.own(weight), self.mask)


class Masking:
    """The masks on a model's weights while `masked` lasts. They are variables of TensorFlow, so that `update` changes
    them between two calls of `fit`, or in a callback, and nothing is traced again."""

    def __init__(self, variables: Sequence[Any], patch: Callable[[Any, str, Any], None]) -> None:
        self.variables = tuple(variables)
        self.masks = tuple(tf.Variable(tf.ones(each.shape, each.dtype), trainable=False) for each in variables)
        # Gradients come with Keras's variables or, in a loop of the user's, with TensorFlow's.
        self._by_id = {id(own): mask for each, mask in self._pairs() for own in (each, each.value)}
        self._optimizers: list[Any] = []
        self._patch = patch

    def update(self, masks: Masks) -> None:
        """Other masks from now on: weights and slots are zero at once where these are False; what was removed and is
        True here grows from zero. Raises UsageError where they do not fit the weights."""
        shapes = [np.shape(mask) for mask in masks]
        wanted = [tuple(variable.shape) for variable in self.variables]
        if shapes != wanted:
            raise UsageError(f"masks of the shapes {shapes} do not fit weights of {wanted}", "give one for each weight")
        for (variable, held), mask in zip(self._pairs(), masks, strict=True):
            held.assign(tf.cast(np.asarray(mask, bool), held.dtype))
            variable.assign(tf.math.multiply_no_nan(variable, held))
        for optimizer in self._optimizers:
            self._clear(optimizer)

    def hold(self, optimizer: Any) -> None:
        """Mask what `optimizer` does: for one that is not the model's, used in a loop of its own. A `tf.function` that
        was traced before must be made again. The model's own are held already, also after `compile`."""
        if not any(optimizer is each for each in self._optimizers):
            self._optimizers.append(optimizer)
            self._patch(optimizer, "apply", self._applying(optimizer, optimizer.apply))
            self._clear(optimizer)

    def broken(self) -> tuple[str, ...]:
        """Paths of the weights that are not zero where they are masked: something wrote to them past the optimizer."""
        return tuple(
            str(variable.path)
            for variable, mask in self._pairs()
            if bool(tf.reduce_any((mask == 0) & (tf.convert_to_tensor(variable) != 0)))
        )

    def _pairs(self) -> Iterator[tuple[Any, Any]]:
        return zip(self.variables, self.masks, strict=True)

    def _clear(self, optimizer: Any) -> None:
        for slot in slots_of(optimizer):
            if (mask := self._by_id.get(id(slot.weight))) is not None:
                slot.value.assign(tf.math.multiply_no_nan(slot.value, mask))

    def _applying(self, optimizer: Any, apply: Callable[..., None]) -> Callable[..., None]:
        def masked_apply(grads: Sequence[Any], trainable_variables: Any = None) -> None:
            given = None if trainable_variables is None else list(trainable_variables)
            variables = optimizer._trainable_variables if given is None else given
            apply([self._kept(*pair) for pair in zip(grads, variables, strict=True)], given)
            for variable in variables:
                # Keras constrains its own variables only.
                if not isinstance(variable, keras.Variable) and (mask := self._by_id.get(id(variable))) is not None:
                    variable.assign(tf.math.multiply_no_nan(variable, mask))
            for slot in slots_of(optimizer):
                # Keras averages before it constrains.
                if slot.name == AVERAGES and (mask := self._by_id.get(id(slot.weight))) is not None:
                    slot.value.assign(tf.math.multiply_no_nan(slot.value, mask))

        return masked_apply

    def _kept(self, gradient: Any, variable: Any) -> Any:
        mask = self._by_id.get(id(variable))
        if gradient is None or mask is None:
            return gradient
        if isinstance(gradient, tf.IndexedSlices):  # of an embedding
            rows = tf.math.multiply_no_nan(gradient.values, tf.gather(mask, gradient.indices))
            return tf.IndexedSlices(rows, gradient.indices, gradient.dense_shape)
        return tf.math.multiply_no_nan(gradient, tf.cast(mask, gradient.dtype))


@contextlib.contextmanager
def masked(model: Any, weights: Sequence[Prunable], masks: Masks) -> Iterator[Masking]:
    """Inside the block training leaves the weights at zero where `masks` are False: `model.fit`, `train_on_batch`,
    `optimizer.apply` in a loop of one's own, with any optimizer of Keras.

    The weights are masked at once and stay so when the block ends; the model and its optimizer are then as they were
    before, and train all weights again. In the block they may be saved, and the model compiled, also for the first
    time.
    A loop of one's own that was traced before the block must be traced again in it.

    Args:
        model: a built Keras model; it need not be compiled.
        weights: what is masked.
        masks: for each of them an array of its shape, True where it is kept.

    Raises:
        UsageError: the masks do not fit, or weights of the model are masked already.
    """
    variables = [weight.variable for weight in weights]
    if any(isinstance(each.constraint, _Held) for each in (*model.variables, *variables)):
        raise UsageError("weights of the model are masked already", "call update on the masking that is there")
    with contextlib.ExitStack() as stack:
        patch = stack.enter_context(patching())
        masking = Masking(variables, patch)
        masking.update(masks)
        stack.callback(_trace_again, model)
        for variable, mask in zip(variables, masking.masks, strict=True):
            stack.callback(setattr, variable, "constraint", variable.constraint)
            variable.constraint = _Held(mask, variable.constraint)
        patch(model, "compile", _compiling(model, masking, model.compile))
        _hold_all(model, masking)
        _trace_again(model)
        yield masking


def _hold_all(model: Any, masking: Masking) -> None:
    for optimizer in optimizers_of(model):
        masking.hold(optimizer)


def _compiling(model: Any, masking: Masking, compile: Callable[..., None]) -> Callable[..., None]:
    def masked_compile(*args: Any, **kwargs: Any) -> None:
        compile(*args, **kwargs)
        _hold_all(model, masking)

    return masked_compile


def _trace_again(model: Any) -> None:
    """What is traced already goes on as it was."""
    model.train_function = None
