"""How large the gradients of a loss are, variable by variable, as the model is and with modified weights."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfopt.modified.functional_call import overridden
from tfopt.modified.parametrization import Parametrization
from tfopt.modified.states import States
from tfopt.records.base import finite
from tfopt.records.gradients import Gradient
from tfopt.workload.step import loss_of

__all__ = ["Measured", "gradient_variables", "measure"]


@dataclass(frozen=True)
class Measured:
    """A loss, and for each variable its gradient, None where the loss does not depend on it."""

    loss: float
    gradients: tuple[Gradient | None, ...]


def gradient_variables(model: Any, modified: Parametrization | None) -> list[Any]:
    """The trainable variables, and those that are modified."""
    changed = [each.variable for each in modified.modified] if modified is not None else []
    variables = {id(variable): variable for variable in (*model.trainable_variables, *changed)}
    return [variable for variable in variables.values() if keras.backend.is_float_dtype(variable._dtype)]


def measure(
    model: Any, batch: tuple[Any, Any, Any], variables: list[Any], modified: Parametrization | None, *, xla: bool
) -> Measured:
    """One pass of training of a compiled model without an update, after which its states are as before it: a second
    pass draws the same random numbers. Gradients are those of the loss itself where it is scaled."""
    reached: list[bool] = []

    def one_pass() -> Any:
        with tf.GradientTape() as tape:
            tape.watch([variable.value for variable in variables])
            with overridden(model, modified.weights()) if modified is not None else contextlib.nullcontext():
                loss = loss_of(model, *batch)
            scaled = model.optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled, [variable.value for variable in variables])
        reached[:] = [gradient is not None for gradient in gradients]
        scale = tf.cast(model.optimizer.scale_loss(tf.ones((), "float32")), "float64")
        return loss, [_sizes(tf.convert_to_tensor(each), scale) for each in gradients if each is not None]

    traced = tf.function(one_pass, autograph=False, jit_compile=xla).get_concrete_function()
    states = States(traced)
    try:
        loss, sizes = traced()
    finally:
        states.restore()
    found = iter(sizes)
    return Measured(float(loss), tuple(_gradient(next(found).numpy()) if there else None for there in reached))


def _sizes(gradient: Any, scale: Any) -> Any:
    """Sum of squares, largest magnitude, zeros and elements that are not finite, in float64."""
    wide = tf.cast(gradient, "float64") / scale
    strange = tf.math.logical_not(tf.math.is_finite(wide))
    counts = [tf.cast(tf.math.count_nonzero(each), "float64") for each in (tf.equal(wide, 0), strange)]
    return tf.stack([tf.reduce_sum(tf.square(wide)), tf.reduce_max(tf.abs(wide)), *counts])


def _gradient(sizes: np.ndarray) -> Gradient:
    squares, largest, zeros, nonfinite = map(float, sizes)
    sound = not nonfinite
    return Gradient(
        norm=finite(np.sqrt(squares)) if sound else None,
        largest=finite(max(largest, 0.0)) if sound else None,  # that of no elements is -inf
        zeros=int(zeros),
        nonfinite=int(nonfinite),
    )
