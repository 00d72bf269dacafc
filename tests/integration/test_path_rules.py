"""Every rule of tfopt's own is linear, monotone and not negative, on random inputs; all in one model."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import pytest

from tfopt.pathways import tracing
from tfopt.pathways.certificates import NEGATIVE
from tfopt.pathways.path_weights import ones
from tfopt.pathways.plan import Plan
from tfopt.pathways.rules.registry import rule_for
from tfopt.pathways.surrogate import Surrogate

L = keras.layers
Options = dict[str, Any]
INPUTS = {"flat": (6,), "steps": (6, 4), "image": (8, 9, 4), "volume": (4, 5, 4, 2)}
FIRST: Options = {"data_format": "channels_first"}

CASES: tuple[tuple[str, type, list[Options]], ...] = (
    ("flat", L.Dense, [{"units": 3}]),
    ("flat", L.BatchNormalization, [{}]),
    ("flat", L.LayerNormalization, [{}]),
    ("flat", L.RMSNormalization, [{}]),
    ("flat", L.UnitNormalization, [{}]),
    ("flat", L.Reshape, [{"target_shape": (3, 2)}]),
    ("flat", L.RepeatVector, [{"n": 3}]),
    ("flat", L.Rescaling, [{"scale": -2.0, "offset": 1.0}]),
    ("flat", L.Normalization, [{"mean": 2.0, "variance": 4.0}, {"mean": 2.0, "variance": 4.0, "invert": True}]),
    *(("flat", kind, [{}]) for kind in (L.ReLU, L.PReLU, L.ELU, L.LeakyReLU, L.Identity, L.ActivityRegularization)),
    ("flat", L.Activation, [{"activation": name} for name in ("gelu", "tanh", "softplus", "hard_silu", "mish")]),
    *(("flat", kind, [{"rate": 0.5}]) for kind in (L.Dropout, L.GaussianDropout, L.AlphaDropout)),
    ("flat", L.GaussianNoise, [{"stddev": 1.0}]),
    ("steps", L.EinsumDense, [{"equation": "abc,cd->abd", "output_shape": (None, 3), "bias_axes": "d"}]),
    ("steps", L.Conv1D, [{"filters": 4, "kernel_size": 3, "padding": p, "groups": 2} for p in ("same", "causal")]),
    ("steps", L.Conv1DTranspose, [{"filters": 2, "kernel_size": 3, "strides": 2, "padding": "same"}]),
    ("steps", L.DepthwiseConv1D, [{"kernel_size": 3, "depth_multiplier": 2, "padding": "same"}]),
    ("steps", L.SeparableConv1D, [{"filters": 3, "kernel_size": 3, "dilation_rate": 2}]),
    *(("steps", kind, [{"pool_size": 3, "strides": 2, "padding": "same"}]) for kind in (L.MaxPooling1D, L.AveragePooling1D)),
    *(("steps", kind, [{"output_size": 4}]) for kind in (L.AdaptiveMaxPooling1D, L.AdaptiveAveragePooling1D)),
    *(("steps", kind, [{}, {"keepdims": True}]) for kind in (L.GlobalMaxPooling1D, L.GlobalAveragePooling1D)),
    *(("steps", kind, [{}]) for kind in (L.Flatten, L.Masking)),
    ("steps", L.Permute, [{"dims": (2, 1)}]),
    *(("steps", kind, [arguments]) for kind, arguments in (
        (L.Cropping1D, {"cropping": 1}), (L.ZeroPadding1D, {"padding": 2}), (L.UpSampling1D, {"size": 2}),
        (L.SpatialDropout1D, {"rate": 0.5}))),
    *(("steps", kind, [{"units": 3}, {"units": 3, "return_sequences": True, "go_backwards": True}])
      for kind in (L.SimpleRNN, L.LSTM, L.GRU)),
    ("image", L.Conv2D, [{"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same"},
                         {"filters": 4, "kernel_size": (3, 2), "dilation_rate": 2, "groups": 2}]),
    ("image", L.Conv2DTranspose, [{"filters": 2, "kernel_size": 3, "strides": 2, "padding": "same"}]),
    ("image", L.DepthwiseConv2D, [{"kernel_size": 3, "strides": 2, "padding": "same", "depth_multiplier": 2}]),
    ("image", L.SeparableConv2D, [{"filters": 3, "kernel_size": 3, "padding": "same"}]),
    ("image", L.GroupNormalization, [{"groups": 2}]),
    ("image", L.BatchNormalization, [{"axis": 1}]),
    *(("image", kind, [{"pool_size": 3, "strides": 2, "padding": "same"}, {}]) for kind in (L.MaxPooling2D, L.AveragePooling2D)),
    ("image", L.MaxPooling2D, [FIRST]),
    *(("image", kind, [{"output_size": (3, 4)}]) for kind in (L.AdaptiveMaxPooling2D, L.AdaptiveAveragePooling2D)),
    *(("image", kind, [{}, FIRST]) for kind in (L.GlobalMaxPooling2D, L.GlobalAveragePooling2D)),
    *(("image", kind, [arguments]) for kind, arguments in (
        (L.Cropping2D, {"cropping": 1}), (L.ZeroPadding2D, {"padding": 2}), (L.SpatialDropout2D, {"rate": 0.5}),
        (L.CenterCrop, {"height": 5, "width": 4}), (L.Resizing, {"height": 5, "width": 12}))),
    ("image", L.UpSampling2D, [{"interpolation": name} for name in ("nearest", "bilinear")]),
    ("volume", L.Conv3D, [{"filters": 2, "kernel_size": 2, "padding": "same"}]),
    ("volume", L.Conv3DTranspose, [{"filters": 2, "kernel_size": 2, "strides": 2}]),
    *(("volume", kind, [{"pool_size": 2, "padding": "same"}]) for kind in (L.MaxPooling3D, L.AveragePooling3D)),
    *(("volume", kind, [{}]) for kind in (L.GlobalMaxPooling3D, L.GlobalAveragePooling3D, L.Cropping3D, L.UpSampling3D,
                                          L.ZeroPadding3D)),
    *(("volume", kind, [{"rate": 0.5}]) for kind in (L.SpatialDropout3D,)),
    *(("volume", kind, [{"output_size": 2}]) for kind in (L.AdaptiveMaxPooling3D, L.AdaptiveAveragePooling3D)),
    ("volume", L.ConvLSTM2D, [{"filters": 2, "kernel_size": 2}]),
)  # fmt: skip

WRAPPED: dict[str, tuple[str, Callable[[], Any]]] = {
    "bidirectional": ("steps", lambda: L.Bidirectional(L.GRU(2), merge_mode="sum")),
    "cells": ("steps", lambda: L.RNN(L.StackedRNNCells([L.LSTMCell(3), L.GRUCell(2), L.SimpleRNNCell(2)]))),
    "time_distributed": ("steps", lambda: L.TimeDistributed(L.Dense(2, "relu"))),
    "spectral": ("flat", lambda: L.SpectralNormalization(L.Dense(2))),
    "lambda_free": ("flat", lambda: L.Dense(2, activation=lambda x: x**3)),
}
PAIRS = (L.Add, L.Average, L.Concatenate, L.Subtract, L.Maximum, L.Minimum)
ATTENTION: dict[str, Callable[[Any, Any], Any]] = {
    "multi_head": lambda x, y: L.MultiHeadAttention(2, 3, name="multi_head")(x, y, use_causal_mask=True),
    "grouped": lambda x, y: L.GroupQueryAttention(3, 2, 1, name="grouped")(x, y),
    "luong": lambda x, y: L.Attention(use_scale=True, name="luong")([x, y]),
    "bahdanau": lambda x, y: L.AdditiveAttention(name="bahdanau")([x, y]),
}
NAMES = [
    *(f"{kind.__name__}_{number}_{place}" for place, (_, kind, several) in enumerate(CASES) for number in range(len(several))),
    *WRAPPED, *(kind.__name__ for kind in PAIRS), *ATTENTION,
]  # fmt: skip


def _model() -> keras.Model:
    inputs = {name: keras.Input(shape) for name, shape in INPUTS.items()}
    other = {name: keras.Input(shape) for name, shape in INPUTS.items()}
    outputs = [
        kind(name=f"{kind.__name__}_{number}_{place}", **options)(inputs[name])
        for place, (name, kind, several) in enumerate(CASES)
        for number, options in enumerate(several)
    ]
    for name, (source, make) in WRAPPED.items():
        layer = make()
        layer.name = name
        outputs.append(layer(inputs[source]))
    outputs += [kind(name=kind.__name__)([inputs["image"], other["image"]]) for kind in PAIRS]
    outputs += [make(inputs["steps"], other["steps"]) for make in ATTENTION.values()]
    return keras.Model([*inputs.values(), *other.values()], [L.Flatten()(output) for output in outputs])


@pytest.fixture(scope="module")
def tried() -> Iterator[dict[str, list[tuple[float, float, float]]]]:
    """Of each layer: least value, least increase and distance from additivity in trials, of which none is spared."""
    draw = np.random.default_rng(2)
    model = _model()
    for variable in model.variables:
        if keras.backend.is_float_dtype(variable.dtype):
            low = 0.5 if "variance" in variable.name else -1.0
            variable.assign(draw.uniform(low, 1.5, variable.shape))

    def judged(kind: type) -> Any:
        found = rule_for(kind)
        return found and dataclasses.replace(found, own=False)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tracing, "rule_for", judged)
        sums = Surrogate(model, Plan(True), lambda outputs: (sum(keras.ops.sum(each) for each in outputs), {})).run(
            ones(model)
        )
    found: dict[str, list[tuple[float, float, float]]] = {}
    for trial in sums.trials:
        found.setdefault(sums.nodes[trial.node].operation.name, []).append(
            (trial.least, trial.increase, trial.additivity)
        )
    yield found


@pytest.mark.parametrize("name", NAMES)
def test_linear_and_monotone(name: str, tried: dict[str, list[tuple[float, float, float]]]) -> None:
    assert len(tried[name]) >= 3
    for least, increase, additivity in tried[name]:
        assert least >= -NEGATIVE["float64"]
        assert increase >= -NEGATIVE["float64"]
        assert additivity <= 1e-8


# Without data there is nothing to try: they take no numbers, give none, or multiply two tensors.
_NOT_TRIED = {"Embedding", "ReversibleEmbedding", "CategoryEncoding", "HashedCrossing", "StringLookup", "IntegerLookup",
              "TextVectorization", "Hashing", "Discretization", "Softmax", "Multiply", "Dot", "Bidirectional", "RNN",
              "TimeDistributed", "SpectralNormalization", "LSTMCell", "GRUCell", "SimpleRNNCell", "StackedRNNCells",
              "MultiHeadAttention", "GroupedQueryAttention", "GroupQueryAttention", "Attention", "AdditiveAttention",
              "ConvLSTM1D", "ConvLSTM3D", "SeparableConvolution1D"}  # fmt: skip


def test_every_layer_with_a_rule_is_tried() -> None:
    ruled = {kind for _, kind in inspect.getmembers(L, inspect.isclass) if issubclass(kind, L.Layer) and rule_for(kind)}
    here = {kind for _, kind, _ in CASES} | set(PAIRS)
    assert {kind.__name__ for kind in ruled - here} <= _NOT_TRIED
