"""What weights are multiplied with: the sum of squares of each input feature, over samples and positions.

The model runs eagerly, so that the steps of recurrent layers can be seen too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from string import ascii_letters
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras.src.layers.rnn.conv_lstm import ConvLSTMCell

from tfopt.model.patching import patching
from tfopt.pathways.inferring import inferring
from tfopt.pathways.interception import keep_mask, layers_of
from tfopt.pathways.samples import samples_of
from tfopt.pruning.prunable import Prunable
from tfopt.workload.failures import explained

__all__ = ["input_squares"]

L = keras.layers

Seen = Callable[[Any, Any, Sequence[Any]], Mapping[str, Any]]
"""Is given a layer, the inputs of a call and its further arguments; returns for variables, by name, the squares of what
each of their elements is multiplied with, in a shape that broadcasts to the variable's."""

_SEEN: dict[type, Seen] = {}


def input_squares(
    model: Any,
    weights: Sequence[Prunable],
    x: Any,
    *,
    batch_size: int = 32,
    progress: Callable[[float], None] = lambda done: None,
) -> list[np.ndarray | None]:
    """For each weight Σ x² of what each of its elements is multiplied with, added up over all calls of its layer, in
    float64 and in a shape that broadcasts to the weight's; None where that cannot be observed.

    Raises:
        InputError: the samples do not fit the model.
        RunFailed: the model does not run on them.
    """
    samples = samples_of(model, x, batch_size=batch_size)
    watched = {id(weight.variable): number for number, weight in enumerate(weights)}
    totals: list[Any] = [None] * len(weights)

    def add(layer: Any, inputs: Any, further: Sequence[Any]) -> None:
        see = next((_SEEN[kind] for kind in type(layer).__mro__ if kind in _SEEN), None)
        if see is None or not isinstance(inputs, tf.Tensor) or not hasattr(inputs, "numpy"):  # in somebody's graph
            return
        seen = see(layer, inputs, further)
        for variable in layer.weights:
            number, squares = watched.get(id(variable)), seen.get(variable.name)
            if number is not None and squares is not None and _fits(squares.shape, weights[number].shape):
                totals[number] = squares if totals[number] is None else totals[number] + squares

    def call(operation: Any, run: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        given = [*args, *kwargs.values()]
        if given and isinstance(operation, L.Layer):
            add(operation, given[0], given[1:])
        if isinstance(operation, L.TimeDistributed):  # would run the layer inside in a graph
            return _all_steps_at_once(operation, given[0])
        return run(*args, **kwargs)

    with explained("running the model"), patching() as patch, inferring(model, call) as infer:
        for layer in layers_of(model):
            if isinstance(layer, L.RNN):  # a loop would try its first step twice
                patch(layer, "unroll", True)
        done = 0
        for numbers in samples.batches():
            infer(samples.cut(numbers)[0])
            done += len(numbers)
            progress(done / samples.count)
    return [None if total is None else total.numpy() for total in totals]


def _fits(shape: Sequence[int], whole: tuple[int, ...]) -> bool:
    try:
        return np.broadcast_shapes(tuple(shape), whole) == whole
    except ValueError:
        return False


def _all_steps_at_once(layer: Any, x: Any) -> Any:
    y = layer.layer(tf.reshape(x, [-1, *x.shape[2:]]))
    return keep_mask(x, tf.reshape(y, [*x.shape[:2], *y.shape[1:]]))


def _seen(*kinds: type) -> Callable[[Seen], Seen]:
    def register(function: Seen) -> Seen:
        _SEEN.update(dict.fromkeys(kinds, function))
        return function

    return register


def _by_feature(x: Any, axis: int = -1) -> Any:
    """Σ x² over all axes but one."""
    x = tf.cast(x, tf.float64)
    axis %= x.shape.rank
    return tf.reduce_sum(x * x, [other for other in range(x.shape.rank) if other != axis])


def _by_channel(layer: Any, x: Any) -> Any:
    return _by_feature(x, -1 if layer.data_format == "channels_last" else 1)


@_seen(L.Dense)
def _dense(layer: Any, x: Any, further: Sequence[Any]) -> Mapping[str, Any]:
    return {"kernel": _by_feature(x)[:, None]}


@_seen(L.EinsumDense)
def _einsum(layer: Any, x: Any, further: Sequence[Any]) -> Mapping[str, Any]:
    """By the letters that the input shares with the kernel, in the kernel's order."""
    given, kernel = layer.equation.replace(" ", "").split("->")[0].split(",")
    rest = [letter for letter in ascii_letters if letter not in layer.equation]
    given = given.replace("...", "".join(rest[: x.shape.rank - len(given.replace("...", ""))]))
    shared = [letter for letter in kernel if letter in given]
    x = tf.cast(x, tf.float64)
    sizes = iter((squares := tf.einsum(f"{given}->{''.join(shared)}", x * x)).shape)
    return {"kernel": tf.reshape(squares, [next(sizes) if letter in shared else 1 for letter in kernel])}


@_seen(L.Conv1D, L.Conv2D, L.Conv3D)
def _convolution(layer: Any, x: Any, further: Sequence[Any]) -> Mapping[str, Any]:
    """Every filter of a group sees the channels of that group; filters are in the order of their groups."""
    by_group = tf.reshape(_by_channel(layer, x), [layer.groups, -1])
    return {"kernel": tf.repeat(tf.transpose(by_group), layer.filters // layer.groups, axis=1)}


@_seen(L.Conv1DTranspose, L.Conv2DTranspose, L.Conv3DTranspose)
def _transposed(layer: Any, x: Any, further: Sequence[Any]) -> Mapping[str, Any]:
    return {"kernel": _by_channel(layer, x)}


@_seen(L.DepthwiseConv1D, L.DepthwiseConv2D)
def _depthwise(layer: Any, x: Any, further: Sequence[Any]) -> Mapping[str, Any]:
    return {"kernel": _by_channel(layer, x)[:, None]}


@_seen(L.SeparableConv1D, L.SeparableConv2D)
def _separable(layer: Any, x: Any, further: Sequence[Any]) -> Mapping[str, Any]:
    between = keras.ops.depthwise_conv(
        x,
        keras.ops.cast(layer.depthwise_kernel, x.dtype),
        strides=layer.strides,
        padding=layer.padding,
        data_format=layer.data_format,
        dilation_rate=layer.dilation_rate,
    )
    return {
        "depthwise_kernel": _by_channel(layer, x)[:, None],
        "pointwise_kernel": _by_channel(layer, between)[:, None],
    }


@_seen(L.SimpleRNNCell, L.LSTMCell, L.GRUCell)
def _cell(layer: Any, x: Any, further: Sequence[Any]) -> Mapping[str, Any]:
    """The recurrent kernel sees the state before the step. (In a GRU without `reset_after` its last third sees that
    times the reset gate.)"""
    return {"kernel": _by_feature(x)[:, None], "recurrent_kernel": _by_feature(_state(further))[:, None]}


@_seen(ConvLSTMCell)
def _convolutional_cell(layer: Any, x: Any, further: Sequence[Any]) -> Mapping[str, Any]:
    return {"kernel": _by_channel(layer, x)[:, None], "recurrent_kernel": _by_channel(layer, _state(further))[:, None]}


def _state(further: Sequence[Any]) -> Any:
    return keras.tree.flatten(further[0])[0]
