"""Every closed form against numbers worked out by hand, and against the ops that TensorFlow makes.

The networks are those of `cost_cases`: batches of 2, a trained bias before the layer, so that its input needs a
gradient. A product of m multiply-accumulates has 2·m operations, its two gradients have 4·m.
"""

from __future__ import annotations

import functools

import pytest

from tests.integration.cost_cases import CASES, backward_count, counted, network
from tfopt.model.cost.counting import Count
from tfopt.records.cost import LayerCost

# name: parameters, multiply-accumulates, forward operations beside them, backward operations beside the products'
HAND: dict[str, tuple[int, int, int, int]] = {
    "Dense": (7 * 5 + 5, 2 * 7 * 5, 10 + 10, 10 + 10),
    "Dense 3d": (7 * 5, 2 * 4 * 7 * 5, 0, 0),
    "Dense softmax": (7 * 5 + 5, 2 * 7 * 5, 10 + 5 * 10, 10 + 4 * 10),
    "EinsumDense": (6 * 3 * 4 + 3 * 4, 2 * 5 * 6 * 3 * 4, 2 * 5 * 3 * 4, 2 * 5 * 3 * 4),
    "EinsumDense dots": (6 * 3, 2 * 5 * 4 * 6 * 3, 0, 0),
    # convolutions: values given × taps × channels read
    "Conv1D": (3 * 4 * 6 + 6, (2 * 10 * 6) * 3 * 4, 2 * 10 * 6, 2 * 10 * 6),
    "Conv2D": (9 * 4 * 6 + 6, (2 * 7 * 6 * 6) * 9 * 4, 504 + 504, 504 + 3 * 504),
    "Conv2D strides": (15 * 4 * 6, (2 * 5 * 4 * 6) * 15 * 4, 0, 0),
    "Conv2D grouped": (9 * 2 * 6 + 6, (2 * 7 * 6 * 6) * 9 * 2, 504, 504),
    "Conv2D dilated": (9 * 4 * 6 + 6, (2 * 5 * 4 * 6) * 9 * 4, 240, 240),
    "Conv3D": (8 * 3 * 6 + 6, (2 * 4 * 5 * 6 * 6) * 8 * 3, 1440, 1440),
    # transposed: values read × taps × filters
    "Conv1DTranspose": (3 * 6 * 4 + 6, (2 * 9 * 4) * 3 * 6, 2 * 19 * 6, 2 * 19 * 6),
    "Conv2DTranspose": (9 * 6 * 4 + 6, (2 * 9 * 8 * 4) * 9 * 6, 2 * 18 * 16 * 6, 2 * 18 * 16 * 6),
    "Conv3DTranspose": (27 * 2 * 4 + 2, (2 * 3 * 4 * 5 * 4) * 27 * 2, 2 * 5 * 6 * 7 * 2, 2 * 5 * 6 * 7 * 2),
    "DepthwiseConv1D": (3 * 4 + 4, (2 * 7 * 4) * 3, 56, 56),
    "DepthwiseConv2D": (9 * 4 * 2 + 8, (2 * 9 * 8 * 8) * 9, 1152, 1152),
    "SeparableConv1D": (3 * 4 + 4 * 5 + 5, (2 * 7 * 4) * 3 + (2 * 7 * 5) * 4, 70, 70),
    "SeparableConv2D": (9 * 4 * 2 + 8 * 5 + 5, (2 * 7 * 6 * 8) * 9 + (2 * 7 * 6 * 5) * 8, 420 + 420, 420 + 420),
    # pooling: values given × taps
    "MaxPooling1D": (0, 0, (2 * 4 * 4) * 2, 32),
    "MaxPooling2D": (0, 0, (2 * 4 * 4 * 4) * 9, 128),
    "MaxPooling3D": (0, 0, (2 * 8 * 3) * 8, 48),
    "AveragePooling1D": (0, 0, (2 * 4 * 4) * 2, 32 * 2),
    "AveragePooling2D": (0, 0, (2 * 4 * 3 * 4) * 6, 96 * 6),
    "AveragePooling3D": (0, 0, (2 * 8 * 3) * 8, 48 * 8),
    "GlobalAveragePooling1D": (0, 0, 2 * 8 * 4, 64),
    "GlobalAveragePooling2D": (0, 0, 2 * 64 * 4, 512),
    "GlobalAveragePooling3D": (0, 0, 2 * 64 * 3, 384),
    "GlobalMaxPooling1D": (0, 0, 2 * 8 * 4, 4 * 64),
    "GlobalMaxPooling2D": (0, 0, 2 * 64 * 4, 4 * 512),
    "GlobalMaxPooling3D": (0, 0, 2 * 64 * 3, 4 * 384),
    # mean 1, variance 3, x·s + t 2; per channel rsqrt(v + ε)·γ, μ·s, β − it, and two moving averages of 3
    "BatchNormalization": (4 * 4, 0, (1 + 3 + 2) * 512 + (2 + 1 + 2 + 6) * 4, 11 * 512),
    "BatchNormalization bare": (2 * 4, 0, (1 + 3 + 2) * 64 + (2 + 2 + 6) * 4, 11 * 64),
    # 16 groups of 4 values; ·γ, ·s and + β for each value
    "LayerNormalization": (2 * 4, 0, (1 + 3 + 2 + 3) * 64 + (2 + 1) * 16, 18 * 64),
    "LayerNormalization bare": (0, 0, (1 + 3 + 2) * 256 + (2 + 1 + 1) * 16, 11 * 256),
    # 2 × 2 groups; γ, s and β for 2 × 4 channels
    "GroupNormalization": (2 * 4, 0, (1 + 3 + 2) * 512 + 3 * 8 + (2 + 1) * 4, 11 * 512),
    "GroupNormalization bare": (0, 0, (1 + 3 + 2) * 64 + (2 + 1 + 1) * 4, 11 * 64),
    "RMSNormalization": (4, 0, 4 * 64 + 2 * 16, 10 * 64),
    "UnitNormalization": (0, 0, 3 * 256 + 2 * 16, 6 * 256),
    # query 2 × 6 × 8, value 2 × 7 × 8, 3 heads of 4 and 5: three projections, scores, their use, the last projection
    "MultiHeadAttention": (
        8 * 12 + 12 + 8 * 12 + 12 + 8 * 15 + 15 + 15 * 8 + 8,
        12 * 8 * 12 + 14 * 8 * 12 + 14 * 8 * 15 + (2 * 3 * 6 * 7) * (4 + 5) + 12 * 15 * 8,
        12 * 12 + 14 * 12 + 14 * 15 + 12 * 8 + 252 * (1 + 5),
        12 * 12 + 14 * 12 + 14 * 15 + 12 * 8 + 252 * (1 + 4),
    ),
    # 6 heads of 4 for queries, 2 for keys and values
    "GroupQueryAttention": (
        8 * 24 + 24 + 2 * (8 * 8 + 8) + 24 * 8 + 8,
        12 * 8 * 24 + 2 * 14 * 8 * 8 + (2 * 6 * 6 * 7) * (4 + 4) + 12 * 24 * 8,
        12 * 24 + 2 * 14 * 8 + 12 * 8 + 504 * (1 + 5),
        12 * 24 + 2 * 14 * 8 + 12 * 8 + 504 * (1 + 4),
    ),
    "Attention": (1, 2 * (2 * 6 * 7) * 8, 84 * (1 + 5), 84 * (1 + 2 + 4)),
    "AdditiveAttention": (8, 84 * 8, 84 * 8 * 4 + 84 * 5, 84 * 8 * (6 + 2) + 84 * 4),
    # per step of 2 × 5 values; the weights' gradients are added up
    "SimpleRNN": (20 + 25 + 5, 6 * 2 * (4 + 5) * 5, 6 * (10 + 10 + 10), 6 * (10 + 3 * 10 + 50)),
    "LSTM": (
        80 + 100 + 20,
        6 * 2 * (4 + 5) * 20,
        6 * (40 + 40 + 3 * 10 + 2 * 10 + 4 * 10),
        6 * (40 + 3 * 30 + 3 * 20 + 7 * 10 + 200),
    ),
    "GRU": (
        60 + 75 + 30,
        6 * 2 * (4 + 5) * 15,
        6 * (60 + 30 + 10 + 40 + 20 + 10),
        6 * (60 + 8 * 10 + 3 * 20 + 3 * 10 + 165),
    ),
    "Bidirectional": (
        2 * 200,
        2 * 6 * 2 * (4 + 5) * 20,
        2 * 6 * (40 + 40 + 3 * 10 + 2 * 10 + 4 * 10) + 2 * 6 * 5,
        2 * 6 * (40 + 3 * 30 + 3 * 20 + 7 * 10 + 200),
    ),
    "ConvLSTM1D": (
        3 * 2 * 12 + 3 * 3 * 12 + 12,
        4 * (2 * 8) * 3 * (2 + 3) * 12,
        4 * 48 * (4 + 4 + 3 + 2 + 4),
        4 * (48 * (4 + 9 + 6 + 7) + 192),
    ),
    "ConvLSTM2D": (
        9 * 2 * 12 + 9 * 3 * 12 + 12,
        4 * (2 * 16) * 9 * (2 + 3) * 12,
        4 * 96 * (4 + 4 + 3 + 2 + 4),
        4 * (96 * (4 + 9 + 6 + 7) + 552),
    ),
    "TimeDistributed": (4 * 5 + 5, 6 * 2 * 4 * 5, 6 * 10, 6 * 10),
    "Activation gelu": (0, 0, 5 * 64, 11 * 64),
    "Activation sigmoid": (0, 0, 64, 3 * 64),
    "Activation hard_sigmoid": (0, 0, 3 * 64, 2 * 64),
    "ReLU": (0, 0, 64, 64),
    "LeakyReLU": (0, 0, 64, 64),
    "PReLU": (8 * 4, 0, 5 * 64 + 32, (5 + 2) * 64),
    "Softmax": (0, 0, 5 * 64, 4 * 64),
    "Add": (0, 0, 2 * 64, 0),
    "Subtract": (0, 0, 64, 64),
    "Multiply": (0, 0, 2 * 64, 4 * 64),
    "Average": (0, 0, 3 * 64, 64),
    "Maximum": (0, 0, 2 * 64, 2 * 64),
    "Concatenate": (0, 0, 0, 0),
    "Dot": (0, 2 * 8 * 6 * 4, 0, 0),
    "Reshape": (0, 0, 0, 0),
    "RepeatVector": (0, 0, 0, 2 * 3 * 8),
    "UpSampling1D": (0, 0, 0, 2 * 16 * 4),
    "UpSampling2D bilinear": (0, 0, 9 * 384, 9 * 384),
    "ZeroPadding2D": (0, 0, 0, 0),
    "Dropout": (0, 0, 2 * 64, 64),
    "Rescaling": (0, 0, 2 * 64, 64),
    "Normalization": (0, 0, 2 * 64, 64),
}

# What TensorFlow's graph has beside: operations forward, and why the backward pass differs by more.
RANDOM = "scaling and shifting the random numbers, which is part of drawing them"
BESIDE: dict[str, tuple[int, str]] = {
    "Activation silu": (64, "x is multiplied by β = 1"),
    "Dropout": (2 * 64 + 1, RANDOM),
    "SpatialDropout2D": (3 * 8 + 1, RANDOM + "; one per channel, compared"),
    "GaussianNoise": (2 * 64, RANDOM),
    "GaussianDropout": (2 * 64, RANDOM),
    "MultiHeadAttention dropout": (2 * 252 + 1, RANDOM),
    "Normalization": (2 * 4, "the deviation, from constants"),
    "SpectralNormalization": (35, "the comparison of the kernel with zero"),
}
OTHER_BACKWARD = {
    "Conv2D dilated": "the image is cut into blocks that are padded",
    "TimeDistributed": "slices are padded and added up step by step",
    "UpSampling2D": "one dimension after the other",
    "UpSampling3D": "one dimension after the other",
    "GRU before": "slices of the kernel are padded and added up",
    "AdaptiveAveragePooling2D": "counted from ops",
    "AdaptiveMaxPooling1D": "counted from ops",
    "AlphaDropout": "counted from ops",
}


@functools.cache
def _measured(name: str) -> tuple[tuple[LayerCost, ...], Count, Count]:
    """The rows, the ops of the forward pass, and those of forward and backward together."""
    model, x = network(name)
    rows, forward = counted(model, x)
    return tuple(rows), forward, backward_count(model, x)


def _without_shift(name: str) -> list[LayerCost]:
    return [row for row in _measured(name)[0] if row.type != "_Shift"]


@pytest.mark.parametrize("name", HAND)
def test_hand_computed(name: str) -> None:
    rows = _without_shift(name)
    params, macs, other, backward = HAND[name]
    assert sum(row.params for row in rows) == params
    assert sum(row.macs for row in rows) == macs
    assert sum(row.forward_flops for row in rows) == 2 * macs + other
    assert sum(row.backward_flops for row in rows) == 4 * macs + backward
    assert {row.source for row in rows} <= {"formula", "none"}
    assert not any(row.detail for row in rows)


@pytest.mark.parametrize("name", CASES)
def test_formulas_agree_with_the_ops_of_the_graph(name: str) -> None:
    rows, forward, _ = _measured(name)
    beside, _ = BESIDE.get(name, (0, ""))
    if name == "Conv2D dilated":  # TensorFlow cuts 9 × 8 into four blocks of 3 × 4, padded: 12 rows of taps for 10
        assert sum(row.macs for row in rows) * 12 == forward.macs * 10
        return
    assert sum(row.macs for row in rows) == forward.macs
    assert sum(row.forward_flops for row in rows) + beside == forward.flops
    assert not {what for what in forward.uncounted if not what.startswith("branches")}


@pytest.mark.parametrize("name", [name for name in CASES if name not in OTHER_BACKWARD])
def test_backward_agrees_with_the_gradient_graph(name: str) -> None:
    rows, forward, both = _measured(name)
    assert sum(row.backward_flops for row in rows) == pytest.approx(both.flops - forward.flops, rel=0.075)
