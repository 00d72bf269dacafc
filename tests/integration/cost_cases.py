"""One small network per core layer class: what costs are tested on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from tfopt.model.cost import layer_costs
from tfopt.model.cost.costs import Costs
from tfopt.model.cost.counting import Count, OpCounter
from tfopt.model.cost.observe import observe
from tfopt.model.layers import layer_tree
from tfopt.records.cost import LayerCost

__all__ = ["CASES", "backward_count", "cost_rows", "counted", "network"]

_L = keras.layers
Shape = tuple[int, ...]
BATCH = 2

# The layer, and the shape of each of its inputs without the batch.
CASES: dict[str, tuple[Callable[[], Any], tuple[Shape, ...]]] = {
    "Dense": (lambda: _L.Dense(5, activation="relu"), ((7,),)),
    "Dense 3d": (lambda: _L.Dense(5, use_bias=False), ((4, 7),)),
    "Dense softmax": (lambda: _L.Dense(5, activation="softmax"), ((7,),)),
    "EinsumDense": (lambda: _L.EinsumDense("abc,cde->abde", (None, 3, 4), bias_axes="de"), ((5, 6),)),
    "EinsumDense dots": (lambda: _L.EinsumDense("...x,xy->...y", 3), ((5, 4, 6),)),
    "Conv1D": (lambda: _L.Conv1D(6, 3, padding="same"), ((10, 4),)),
    "Conv2D": (lambda: _L.Conv2D(6, 3, activation="tanh"), ((9, 8, 4),)),
    "Conv2D strides": (lambda: _L.Conv2D(6, (3, 5), strides=2, padding="same", use_bias=False), ((9, 8, 4),)),
    "Conv2D grouped": (lambda: _L.Conv2D(6, 3, groups=2), ((9, 8, 4),)),
    "Conv2D dilated": (lambda: _L.Conv2D(6, 3, dilation_rate=2), ((9, 8, 4),)),
    "Conv3D": (lambda: _L.Conv3D(6, 2), ((5, 6, 7, 3),)),
    "Conv1DTranspose": (lambda: _L.Conv1DTranspose(6, 3, strides=2), ((9, 4),)),
    "Conv2DTranspose": (lambda: _L.Conv2DTranspose(6, 3, strides=2, padding="same"), ((9, 8, 4),)),
    "Conv3DTranspose": (lambda: _L.Conv3DTranspose(2, 3), ((3, 4, 5, 4),)),
    "DepthwiseConv1D": (lambda: _L.DepthwiseConv1D(3), ((9, 4),)),
    "DepthwiseConv2D": (lambda: _L.DepthwiseConv2D(3, depth_multiplier=2, padding="same"), ((9, 8, 4),)),
    "SeparableConv1D": (lambda: _L.SeparableConv1D(5, 3), ((9, 4),)),
    "SeparableConv2D": (lambda: _L.SeparableConv2D(5, 3, depth_multiplier=2, activation="relu"), ((9, 8, 4),)),
    "MaxPooling1D": (lambda: _L.MaxPooling1D(2), ((8, 4),)),
    "MaxPooling2D": (lambda: _L.MaxPooling2D(3, strides=2, padding="same"), ((8, 8, 4),)),
    "MaxPooling3D": (lambda: _L.MaxPooling3D(2), ((4, 4, 4, 3),)),
    "AveragePooling1D": (lambda: _L.AveragePooling1D(2), ((8, 4),)),
    "AveragePooling2D": (lambda: _L.AveragePooling2D((2, 3)), ((8, 9, 4),)),
    "AveragePooling3D": (lambda: _L.AveragePooling3D(2), ((4, 4, 4, 3),)),
    "GlobalAveragePooling1D": (lambda: _L.GlobalAveragePooling1D(), ((8, 4),)),
    "GlobalAveragePooling2D": (lambda: _L.GlobalAveragePooling2D(), ((8, 8, 4),)),
    "GlobalAveragePooling3D": (lambda: _L.GlobalAveragePooling3D(), ((4, 4, 4, 3),)),
    "GlobalMaxPooling1D": (lambda: _L.GlobalMaxPooling1D(), ((8, 4),)),
    "GlobalMaxPooling2D": (lambda: _L.GlobalMaxPooling2D(), ((8, 8, 4),)),
    "GlobalMaxPooling3D": (lambda: _L.GlobalMaxPooling3D(), ((4, 4, 4, 3),)),
    "AdaptiveAveragePooling2D": (lambda: _L.AdaptiveAveragePooling2D(2), ((8, 8, 4),)),
    "AdaptiveMaxPooling1D": (lambda: _L.AdaptiveMaxPooling1D(2), ((8, 4),)),
    "BatchNormalization": (lambda: _L.BatchNormalization(), ((8, 8, 4),)),
    "BatchNormalization bare": (lambda: _L.BatchNormalization(center=False, scale=False), ((8, 4),)),
    "LayerNormalization": (lambda: _L.LayerNormalization(), ((8, 4),)),
    "LayerNormalization bare": (lambda: _L.LayerNormalization(center=False, scale=False), ((8, 16),)),
    "GroupNormalization": (lambda: _L.GroupNormalization(2), ((8, 8, 4),)),
    "GroupNormalization bare": (lambda: _L.GroupNormalization(2, center=False, scale=False), ((8, 4),)),
    "RMSNormalization": (lambda: _L.RMSNormalization(), ((8, 4),)),
    "UnitNormalization": (lambda: _L.UnitNormalization(), ((8, 16),)),
    "SpectralNormalization": (lambda: _L.SpectralNormalization(_L.Dense(5)), ((7,),)),
    "MultiHeadAttention": (lambda: _L.MultiHeadAttention(3, 4, value_dim=5), ((6, 8), (7, 8))),
    "MultiHeadAttention dropout": (lambda: _L.MultiHeadAttention(3, 4, dropout=0.1), ((6, 8), (7, 8))),
    "MultiHeadAttention images": (lambda: _L.MultiHeadAttention(2, 4), ((5, 6, 8), (5, 3, 8))),
    "GroupQueryAttention": (lambda: _L.GroupQueryAttention(4, 6, 2), ((6, 8), (7, 8))),
    "Attention": (lambda: _Pair(_L.Attention(use_scale=True)), ((6, 8), (7, 8))),
    "AdditiveAttention": (lambda: _Pair(_L.AdditiveAttention()), ((6, 8), (7, 8))),
    "SimpleRNN": (lambda: _L.SimpleRNN(5), ((6, 4),)),
    "LSTM": (lambda: _L.LSTM(5), ((6, 4),)),
    "LSTM unrolled": (lambda: _L.LSTM(5, unroll=True, return_sequences=True), ((6, 4),)),
    "GRU": (lambda: _L.GRU(5), ((6, 4),)),
    "GRU before": (lambda: _L.GRU(5, reset_after=False), ((6, 4),)),
    "Bidirectional": (lambda: _L.Bidirectional(_L.LSTM(5, return_sequences=True), merge_mode="sum"), ((6, 4),)),
    "RNN of cells": (lambda: _L.RNN([_L.LSTMCell(3), _L.GRUCell(5)]), ((6, 4),)),
    "ConvLSTM1D": (lambda: _L.ConvLSTM1D(3, 3, padding="same"), ((4, 8, 2),)),
    "ConvLSTM2D": (lambda: _L.ConvLSTM2D(3, 3), ((4, 6, 6, 2),)),
    "TimeDistributed": (lambda: _L.TimeDistributed(_L.Dense(5)), ((6, 4),)),
    "Activation gelu": (lambda: _L.Activation("gelu"), ((8, 4),)),
    "Activation silu": (lambda: _L.Activation("silu"), ((8, 4),)),
    "Activation hard_silu": (lambda: _L.Activation("hard_silu"), ((8, 4),)),
    "Activation hard_sigmoid": (lambda: _L.Activation("hard_sigmoid"), ((8, 4),)),
    "Activation mish": (lambda: _L.Activation("mish"), ((8, 4),)),
    "Activation sigmoid": (lambda: _L.Activation("sigmoid"), ((8, 4),)),
    "Activation selu": (lambda: _L.Activation("selu"), ((8, 4),)),
    "Activation softplus": (lambda: _L.Activation("softplus"), ((8, 4),)),
    "Activation softsign": (lambda: _L.Activation("softsign"), ((8, 4),)),
    "Activation exponential": (lambda: _L.Activation("exponential"), ((8, 4),)),
    "Activation relu6": (lambda: _L.Activation("relu6"), ((8, 4),)),
    "Activation log_softmax": (lambda: _L.Activation("log_softmax"), ((8, 4),)),
    "Activation tanh_shrink": (lambda: _L.Activation("tanh_shrink"), ((8, 4),)),
    "ELU": (lambda: _L.ELU(), ((8, 4),)),
    "LeakyReLU": (lambda: _L.LeakyReLU(), ((8, 4),)),
    "PReLU": (lambda: _L.PReLU(), ((8, 4),)),
    "ReLU": (lambda: _L.ReLU(), ((8, 4),)),
    "ReLU 6": (lambda: _L.ReLU(6.0), ((8, 4),)),
    "Softmax": (lambda: _L.Softmax(), ((8, 4),)),
    "Add": (lambda: _Merge(_L.Add()), ((8, 4),) * 3),
    "Subtract": (lambda: _Merge(_L.Subtract()), ((8, 4),) * 2),
    "Multiply": (lambda: _Merge(_L.Multiply()), ((8, 4),) * 3),
    "Average": (lambda: _Merge(_L.Average()), ((8, 4),) * 3),
    "Maximum": (lambda: _Merge(_L.Maximum()), ((8, 4),) * 3),
    "Minimum": (lambda: _Merge(_L.Minimum()), ((8, 4),) * 2),
    "Concatenate": (lambda: _Merge(_L.Concatenate()), ((8, 4), (8, 3))),
    "Dot": (lambda: _Merge(_L.Dot(2)), ((8, 4), (6, 4))),
    "Flatten": (lambda: _L.Flatten(), ((8, 4),)),
    "Reshape": (lambda: _L.Reshape((4, 8)), ((8, 4),)),
    "Permute": (lambda: _L.Permute((2, 1)), ((8, 4),)),
    "RepeatVector": (lambda: _L.RepeatVector(3), ((8,),)),
    "Cropping2D": (lambda: _L.Cropping2D(1), ((8, 8, 4),)),
    "ZeroPadding2D": (lambda: _L.ZeroPadding2D(1), ((8, 8, 4),)),
    "UpSampling1D": (lambda: _L.UpSampling1D(2), ((8, 4),)),
    "UpSampling2D": (lambda: _L.UpSampling2D(2), ((4, 4, 3),)),
    "UpSampling2D bilinear": (lambda: _L.UpSampling2D(2, interpolation="bilinear"), ((4, 4, 3),)),
    "UpSampling3D": (lambda: _L.UpSampling3D(2), ((2, 3, 4, 3),)),
    "Dropout": (lambda: _L.Dropout(0.5), ((8, 4),)),
    "SpatialDropout2D": (lambda: _L.SpatialDropout2D(0.5), ((8, 8, 4),)),
    "GaussianNoise": (lambda: _L.GaussianNoise(0.5), ((8, 4),)),
    "GaussianDropout": (lambda: _L.GaussianDropout(0.5), ((8, 4),)),
    "AlphaDropout": (lambda: _L.AlphaDropout(0.5), ((8, 4),)),
    "Rescaling": (lambda: _L.Rescaling(0.5, 1.0), ((8, 4),)),
    "Normalization": (lambda: _L.Normalization(mean=1.0, variance=2.0), ((8, 4),)),
    "Masking": (lambda: _L.Masking(), ((8, 4),)),
    "Identity": (lambda: _L.Identity(), ((8, 4),)),
}


class _Shift(keras.layers.Layer):
    """Adds a trained bias, so that there is something to train before the layer under test."""

    def build(self, shape: Shape) -> None:
        self.shift = self.add_weight(shape=shape[1:])

    def call(self, inputs: Any) -> Any:
        return inputs + self.shift


class _Merge:
    """Calls a layer on a list of its inputs."""

    def __init__(self, layer: Any) -> None:
        self.layer = layer

    def __call__(self, *tensors: Any) -> Any:
        return self.layer(list(tensors))


_Pair = _Merge


def network(name: str, dtype: str | None = None) -> tuple[Any, Any]:
    """A model with the layer behind a trained scale of its input, and a batch for it."""
    make, shapes = CASES[name]
    inputs = [keras.Input(shape) for shape in shapes]
    model = keras.Model(inputs, make()(*(_Shift()(tensor) for tensor in inputs)))
    return model, [tf.zeros((BATCH, *shape)) for shape in shapes]


def counted(model: Any, x: Any) -> tuple[list[LayerCost], Count]:
    """The rows of a training step without updates, and the ops of the same forward pass."""
    tree = layer_tree(model)
    trace = observe(model, x, tree, training=True)
    return list(Costs(trace, tree, model.trainable_variables, None).rows()), OpCounter().graph(trace.graph)


def backward_count(model: Any, x: Any) -> Count:
    """The ops of forward and backward together, with gradients of inputs and weights."""

    def step(inputs: Any) -> Any:
        with tf.GradientTape() as tape:
            outputs = model(inputs, training=True)
        return outputs, tape.gradient(outputs, model.trainable_variables, output_gradients=tf.ones_like(outputs))

    return OpCounter().graph(tf.function(step, autograph=False).get_concrete_function(x).graph)


def cost_rows(model: Any, x: Any, **options: Any) -> dict[str, LayerCost]:
    """The cost of each layer by its name."""
    return {row.path.rpartition("/")[2]: row for row in layer_costs(model, x, **options)}
