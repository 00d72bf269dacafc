"""On data every rule gives what the layer gives, and inputs and biases add up to it: models of many small branches, in
float64, so that a branch that is off shows by its name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfopt.pathways.certificates import relevance_certificates, starting
from tfopt.pathways.plan import Plan
from tfopt.pathways.surrogate import Surrogate

L, ops = keras.layers, keras.ops

ACTIVATIONS = [
    "celu",
    "elu",
    "exponential",
    "gelu",
    "hard_shrink",
    "hard_sigmoid",
    "hard_silu",
    "hard_tanh",
    "leaky_relu",
    "log_sigmoid",
    "mish",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "soft_shrink",
    "softplus",
    "softsign",
    "sparse_plus",
    "sparse_sigmoid",
    "squareplus",
    "tanh",
    "tanh_shrink",
]


@pytest.fixture(autouse=True)
def in_float64() -> Iterator[None]:
    for name in ("float64", "float32"):
        keras.config.set_floatx(name)
        keras.config.set_dtype_policy(name)
        if name == "float64":
            yield


class Positions(L.Layer):
    """A projection, learned rows for the places, and a weight whose name does not say that it is added."""

    def build(self, shape: Any) -> None:
        self.dense, self.rows = L.Dense(shape[-1]), L.Embedding(6, shape[-1])
        self.dense.build(shape)
        self.rows.build(None)
        self.something = self.add_weight(shape=(shape[-1],))

    def call(self, x: Any) -> Any:
        return self.dense(x) + self.rows(ops.arange(6)) + self.something


def vectors(x: Any) -> Mapping[str, Any]:
    dense = [L.Dense(6)(x) for _ in range(3)]
    return {
        **{name: L.Dense(4, name)(x) for name in ACTIVATIONS},
        "relu_layer": L.ReLU(max_value=0.6, negative_slope=0.2, threshold=0.1)(x),
        "prelu": L.PReLU()(L.LeakyReLU(0.3)(dense[0])),
        "layernorm": L.LayerNormalization()(x),
        "rmsnorm": L.RMSNormalization()(x),
        "unitnorm": L.UnitNormalization()(x),
        "normalization": L.Normalization(mean=np.arange(7) / 7, variance=np.arange(1, 8))(x),
        "inverse": L.Normalization(mean=np.arange(7) / 7, variance=np.arange(1, 8), invert=True)(x),
        "rescaling": L.Rescaling(0.3, -0.7)(x),
        "gate": dense[0] * ops.sigmoid(dense[1]),
        "product": dense[0] * dense[1] * dense[2],
        "constants": 2.0 - (1.5 + dense[0] - 0.3) / 3.0 * 0.7,
        "quotient": dense[0] / (3.0 + ops.exp(dense[1])),
        "bounds": ops.minimum(ops.maximum(dense[0], 0.1), dense[1]),
        "functions": ops.clip(dense[0], -0.2, 0.5) + ops.square(dense[1]) - ops.abs(ops.sin(dense[2])),
        "extremes": L.Maximum()([dense[0], L.Minimum()([dense[1], dense[2]])]),
        "square": ops.matmul(ops.expand_dims(dense[0], 2), ops.expand_dims(dense[0], 1)),
    }


def sequences(x: Any) -> Mapping[str, Any]:
    masked = L.Masking()(x)
    return {
        "layernorm": L.LayerNormalization(axis=(1, 2))(L.LayerNormalization(axis=1, center=False)(x)),
        "lstm": L.LSTM(4, return_sequences=True)(masked),
        "gru": L.Bidirectional(L.GRU(3, reset_after=False))(masked),
        "cells": L.RNN([L.LSTMCell(3, activation="softplus"), L.GRUCell(4)])(L.SimpleRNN(4, return_sequences=True)(x)),
        "masked": L.GRU(3)(L.Rescaling(2.0, 0.1)(L.ReLU()(L.UnitNormalization()(L.LayerNormalization()(masked))))),
        "merged": L.GRU(3)(L.Multiply()([masked, L.Activation("softplus")(masked)])),
        "mean": L.GlobalAveragePooling1D()(masked),
        "heads": L.MultiHeadAttention(2, 4)(masked, masked),
        "causal": L.MultiHeadAttention(2, 4)(x, x, use_causal_mask=True),
        "grouped": L.GroupQueryAttention(4, 4, 2)(x, x),
        "attention": L.AdditiveAttention()([L.Attention(use_scale=True)([x, masked]), x]),
        "dot": L.Dot(axes=(2, 2))([x, x]),
        "positions": Positions()(x),
        "each": L.TimeDistributed(L.Dense(3, "sigmoid"))(x),
        "convolution": L.Conv1D(3, 2, padding="causal", activation="gelu")(x),
    }


def images(x: Any) -> Mapping[str, Any]:
    pooled = L.GlobalAveragePooling2D(keepdims=True)(x)
    return {
        "batchnorm": L.BatchNormalization(scale=False)(L.ReLU()(L.BatchNormalization()(L.Conv2D(4, 3)(x)))),
        "groupnorm": L.GroupNormalization(2)(x),
        "instancenorm": L.GroupNormalization(-1)(x),
        "excited": x * L.Conv2D(4, 1, activation="sigmoid")(L.Conv2D(2, 1, activation="silu")(pooled)),
        "pooled": L.GlobalMaxPooling2D()(L.MaxPooling2D()(L.DepthwiseConv2D(3)(x))),
        "separable": L.SeparableConv2D(3, 3)(L.ZeroPadding2D()(x)),
        "transposed": L.Conv2DTranspose(3, 2, strides=2)(L.AveragePooling2D(2)(x)),
        "spectral": L.SpectralNormalization(L.Conv2D(3, 2))(x),
        "einsum": L.EinsumDense("abcd,de->abce", output_shape=(None, None, 3), bias_axes="e")(
            L.SpatialDropout2D(0.2)(x)
        ),
        "recurrent": L.ConvLSTM2D(2, 2)(L.ConvLSTM2D(3, 3, return_sequences=True)(L.Reshape((1, 6, 6, 4))(x))),
    }


def tokens(x: Any) -> Mapping[str, Any]:
    rows = L.Embedding(12, 5, mask_zero=True)(x)
    return {
        "lstm": L.LSTM(4)(L.Dropout(0.3)(L.ReLU()(rows))),
        "positions": L.Dense(2)(L.Embedding(12, 5)(x + 1) + L.Embedding(6, 5)(ops.arange(6))),
        "counted": L.Dense(2, "tanh")(L.CategoryEncoding(12, "count")(x)),
        "picture": L.Dense(2, "sigmoid")(L.Rescaling(0.1, -0.5)(x)),
        "chosen": rows * ops.cast(ops.expand_dims(x > 3, -1), "float64"),
    }


@pytest.mark.usefixtures("unoptimized")
@pytest.mark.parametrize(
    ("branches", "shape", "dtype"),
    [
        (vectors, (7,), "float64"),
        (sequences, (6, 5), "float64"),
        (images, (6, 6, 4), "float64"),
        (tokens, (6,), "int32"),
    ],
)
def test_every_rule_gives_what_the_layer_gives(
    branches: Callable[[Any], Mapping[str, Any]], shape: tuple[int, ...], dtype: str
) -> None:
    rng = np.random.default_rng(5)
    entering = keras.Input(shape, dtype=dtype)
    model = keras.Model(entering, {name: branch + 0.0 for name, branch in branches(entering).items()})
    for weight in model.weights:
        if weight.dtype == "float64" and "seed" not in weight.path:
            value = rng.normal(size=weight.shape) * 0.4 + 0.05
            weight.assign(np.abs(value) + 0.3 if "variance" in weight.name else value)
    x = rng.normal(size=(3, *shape)) if dtype == "float64" else rng.integers(1, 11, (3, *shape))
    x[:, 4:] = x[:, 4:] if len(shape) == 3 else 0

    def objective(outputs: Any) -> tuple[Any, dict[str, Any]]:
        return tf.add_n([tf.reduce_sum(each) for each in outputs]), dict(
            zip(sorted(model.output), outputs, strict=True)
        )

    plan = Plan(free=False)
    sums = Surrogate(model, plan, objective, weights=False).run(tf.constant(x))
    for name, expected in model(x, training=False).items():
        np.testing.assert_allclose(sums.told[name], expected, rtol=1e-11, atol=1e-11, err_msg=name)
    left = (sums.total - starting(sums) - sums.biases) / sums.total
    (euler, conservation) = relevance_certificates(sums, plan, left)
    assert conservation.met, conservation
    assert abs(left) < 1e-9, euler
