"""Layers through which no way from channel to channel can be told, and why."""

from __future__ import annotations

import keras

from tfopt.pathways.interception import operation_class
from tfopt.pathways.top_paths.transfers.registry import Call, Unavailable, Units, transfer

__all__: list[str] = []

L = keras.layers


_RECURRENT = (
    "RNN LSTM GRU SimpleRNN Bidirectional ConvLSTM1D ConvLSTM2D ConvLSTM3D LSTMCell GRUCell SimpleRNNCell"
    " StackedRNNCells"
)


@transfer(*(getattr(L, name) for name in _RECURRENT.split()))
def _recurrent(call: Call) -> Units:
    raise Unavailable("a path may go around in its state any number of times")


@transfer(L.Dot, *map(operation_class, ("Dot", "Matmul", "Einsum", "Tensordot")))
def _product(call: Call) -> Units:
    raise Unavailable("its edges are products of two tensors, not weights")


@transfer(L.Lambda)
def _lambda(call: Call) -> Units:
    raise Unavailable("a Lambda can be anything")
