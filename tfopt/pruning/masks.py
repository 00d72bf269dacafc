"""Masks that hold while a model trains: what is removed stays exactly zero, and the rest learns as if it were all.

Three things together, since each alone is wrong for some optimizer. Gradients are masked before the optimizer sees
them, so that norms that clip and ratios that scale are those of what is kept. Weights are masked after each update, as
a constraint: Muon moves weights without a gradient. Slots are masked whenever masks are: old momentum would move what
is removed, and a moving average would bring it back when `fit` ends.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfopt.errors import RunFailed, UsageError
from tfopt.model.addressing import ByVariable, by_variable
from tfopt.model.patching import patching
from tfopt.pruning.prunable import Masks, Prunable
from tfopt.pruning.slots import AVERAGES, all_optimizers, slots_of, trainers_of
from tfopt.wording import counted

__all__ = ["Masking", "mask_of_each", "masked", "remove"]


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

    def update(self, masks: ByVariable) -> None:
        """Other masks from now on, for those weights that are named: weights and slots are zero at once where these are
        False; what was removed and is True here grows from zero. Raises UsageError where they do not fit the weights
        that are masked; nothing has changed then."""
        given = by_variable("the masking", self.variables, masks)
        for variable, mask in [(variable, _fitting(variable, mask)) for variable, mask in given]:
            held = self._by_id[id(variable)]
            held.assign(tf.cast(mask, held.dtype))
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

        return tf.autograph.experimental.do_not_convert(masked_apply)  # type: ignore[no-any-return]

    def _kept(self, gradient: Any, variable: Any) -> Any:
        mask = self._by_id.get(id(variable))
        if gradient is None or mask is None:
            return gradient
        if isinstance(gradient, tf.IndexedSlices):  # of an embedding
            rows = tf.math.multiply_no_nan(gradient.values, tf.gather(mask, gradient.indices))
            return tf.IndexedSlices(rows, gradient.indices, gradient.dense_shape)
        return tf.math.multiply_no_nan(gradient, tf.cast(mask, gradient.dtype))


@contextlib.contextmanager
def masked(model: Any, masks: ByVariable) -> Iterator[Masking]:
    """Inside the block training leaves weights at zero where their masks are False: `model.fit`, `train_on_batch`,
    `optimizer.apply` in a loop of one's own, with any optimizer of Keras.

        inputs = keras.Input((6,))
        model = keras.Model(inputs, keras.layers.Dense(3, name="hidden")(inputs))
        model.compile("adam", "mse")
        kernel = model.get_layer("hidden").kernel
        size = abs(kernel.numpy())
        with tfopt.masked(model, {"hidden/kernel": size > 0.1}) as masking:
            model.fit(x, y)
            masking.update([(kernel, size > 0.3)])  # nothing is traced again
            model.fit(x, y)

    The weights are masked at once and stay so when the block ends; the model and its optimizer are then as they were
    before, and train all weights again. In the block they may be saved, and the model compiled, also for the first
    time. A loop of one's own that was traced before the block must be traced again in it; an optimizer that is not the
    model's must be given to `Masking.hold`.

    Args:
        model: the built Keras model that is trained; it need not be compiled.
        masks: `{path: mask}`, with the paths in `model.weights`, or (variable, mask) pairs; arrays of the weight's
            shape, True or 1 where it is kept. All other weights train as ever.

    Raises:
        UsageError: a mask fits no weight, or weights of the model are masked already.
        RunFailed: at the end of the block a weight is not zero where it is masked.
    """
    pairs = by_variable(model.name, model.weights, masks)
    if any(isinstance(each.constraint, _Held) for each in model.weights):
        raise UsageError("weights of the model are masked already", "call update on the masking that is there")
    with contextlib.ExitStack() as stack:
        masking = Masking([variable for variable, _ in pairs], stack.enter_context(patching()))
        masking.update(pairs)
        stack.callback(_trace_again, model)
        for variable, mask in zip(masking.variables, masking.masks, strict=True):
            stack.callback(setattr, variable, "constraint", variable.constraint)
            variable.constraint = _Held(mask, variable.constraint)
        for each in trainers_of(model):
            masking._patch(each, "compile", _compiling(model, masking, each.compile))
        _hold_all(model, masking)
        _trace_again(model)
        yield masking
        if broken := masking.broken():
            raise RunFailed(
                f"{counted(len(broken), 'weight')} did not stay at zero where they are masked, {broken[0]} first",
                "something wrote past the optimizer, or an optimizer was not held, or a step traced before the block",
            )


def remove(model: Any, weights: Iterable[Prunable], masks: Masks) -> None:
    """Set what the masks remove to zero, in the optimizer too; nothing holds it there afterwards."""
    with masked(model, mask_of_each(weights, masks)):
        return  # entering has done it


def mask_of_each(weights: Iterable[Prunable], masks: Masks) -> list[tuple[Any, Any]]:
    """What `masked` and `Masking.update` take for prunable weights."""
    return [(weight.variable, mask) for weight, mask in zip(weights, masks, strict=True)]


def _fitting(variable: Any, mask: Any) -> np.ndarray:
    """The mask as booleans; UsageError where it is none, or not for this weight."""
    array, shape = np.asarray(mask), tuple(variable.shape)
    if not tf.as_dtype(variable.dtype).is_floating:
        raise UsageError(f"{variable.path} is {variable.dtype}: only floating weights can be masked", "leave it out")
    if array.shape != shape:
        raise UsageError(f"the mask of {variable.path} has the shape {array.shape}", f"that weight's shape is {shape}")
    if array.dtype != bool and not np.isin(array, (0, 1)).all():
        raise UsageError(f"the mask of {variable.path} has numbers other than 0 and 1", "give scores > threshold")
    return array.astype(bool)


def _hold_all(model: Any, masking: Masking) -> None:
    for optimizer in all_optimizers(model):
        masking.hold(optimizer)


def _compiling(model: Any, masking: Masking, compile: Callable[..., None]) -> Callable[..., None]:
    def masked_compile(*args: Any, **kwargs: Any) -> None:
        compile(*args, **kwargs)
        _hold_all(model, masking)

    return masked_compile


def _trace_again(model: Any) -> None:
    """What is traced already goes on as it was."""
    for each in trainers_of(model):
        each.train_function = None
