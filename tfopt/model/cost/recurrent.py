"""Recurrent layers: the arithmetic of one time step is the cell's, and the cell's row has it once per time step.

The gradients of a cell's weights are added up over the time steps: one addition per weight and step.
"""

from __future__ import annotations

import math
from typing import Any

import keras
from keras.src.layers.rnn.conv_lstm import ConvLSTMCell

from tfopt.model.cost.activations import activation
from tfopt.model.cost.registry import formula
from tfopt.model.cost.work import Call, NoFormula, Work, contraction, elementwise

__all__: list[str] = []

_LAYERS = keras.layers
_NOTHING = Work(moved=0, backward_moved=0)


def _no_dropout(call: Call) -> None:
    layer = call.layer
    if call.training and (layer.dropout or layer.recurrent_dropout):
        raise NoFormula


def _products(call: Call, inputs: int, state: int) -> Work:
    """The products with the kernel and the recurrent kernel, and the sums of their gradients over time.

    In a loop the state comes from the step before: it needs a gradient wherever the output does.
    """
    layer = call.layer
    summed = sum(math.prod(v.shape) for v in _own(layer) if call.trains(v))
    return (
        contraction(inputs, call.input.needs_gradient, call.trains(layer.kernel))
        + contraction(state, call.backward, call.trains(layer.recurrent_kernel))
        + Work(backward=summed)
    )


def _own(layer: Any) -> list[Any]:
    return [layer.kernel, layer.recurrent_kernel, *([layer.bias] if layer.bias is not None else [])]


def _gates_of_lstm(call: Call, size: int) -> Work:
    """Three gates, two activations, c = f·c + i·g and h = o·act(c); with the sums of products and bias before."""
    layer = call.layer
    work = elementwise(call, 4 * size, 1, 0)
    if layer.use_bias:
        work += Work(other=4 * size, backward=4 * size * call.trains(layer.bias))
    work += activation(call, layer.recurrent_activation, 3 * size) + activation(call, layer.activation, 2 * size)
    return work + elementwise(call, size, 4, 7)


@formula(_LAYERS.LSTMCell)
def _lstm(call: Call) -> Work:
    _no_dropout(call)
    batch, width = call.input.lengths
    units = call.layer.units
    return _products(call, batch * 4 * units * width, batch * 4 * units * units) + _gates_of_lstm(call, batch * units)


@formula(_LAYERS.GRUCell)
def _gru(call: Call) -> Work:
    _no_dropout(call)
    layer, (batch, width) = call.layer, call.input.lengths
    size = batch * layer.units
    work = _products(call, 3 * size * width, 3 * size * layer.units)
    if layer.use_bias:
        biased = 6 * size if layer.reset_after else 3 * size
        work += Work(other=biased, backward=biased * call.trains(layer.bias))
    # three sums, r·h, and z·h + (1 − z)·g
    work += elementwise(call, size, 3 + 1 + 4, 2 + 6)
    return work + activation(call, layer.recurrent_activation, 2 * size) + activation(call, layer.activation, size)


@formula(_LAYERS.SimpleRNNCell)
def _simple(call: Call) -> Work:
    _no_dropout(call)
    layer, (batch, width) = call.layer, call.input.lengths
    size = batch * layer.units
    work = _products(call, size * width, size * layer.units) + elementwise(call, size, 1, 0)
    if layer.use_bias:
        work += Work(other=size, backward=size * call.trains(layer.bias))
    return work + activation(call, layer.activation, size)


@formula(ConvLSTMCell)
def _conv_lstm(call: Call) -> Work:
    _no_dropout(call)
    layer, size = call.layer, call.output.size
    places = size // layer.filters
    kernels = (math.prod(kernel.shape) for kernel in (layer.kernel, layer.recurrent_kernel))
    return _products(call, *(places * kernel for kernel in kernels)) + _gates_of_lstm(call, size)


@formula(_LAYERS.RNN, _LAYERS.StackedRNNCells, _LAYERS.TimeDistributed)
def _container(call: Call) -> Work:
    return _NOTHING


@formula(_LAYERS.Bidirectional)
def _bidirectional(call: Call) -> Work:
    """Both directions merged, where they are: one operation per value to add or multiply, two for their mean."""
    mode = call.layer.merge_mode
    if mode is None:
        return _NOTHING
    merged = call.output
    read = merged.bytes if mode == "concat" else 2 * merged.bytes
    work = elementwise(call, merged.size, {"concat": 0, "sum": 1, "mul": 1, "ave": 2}[mode], 2 * (mode == "mul"))
    return work + Work(moved=read + merged.bytes, backward_moved=(read + merged.bytes) * call.backward)
