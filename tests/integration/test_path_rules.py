"""Every rule of tfopt's own is linear, monotone and not negative, on random inputs; all in one model."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfopt.pathways import tracing, unknown
from tfopt.pathways.certificates import LINEAR, NEGATIVE
from tfopt.pathways.nodes import Trial
from tfopt.pathways.path_weights import ones
from tfopt.pathways.plan import Plan
from tfopt.pathways.rules.registry import rule_for
from tfopt.pathways.surrogate import Surrogate

L = keras.layers
Options = dict[str, Any]
INPUTS = {"flat": (6,), "steps": (4, 4), "image": (8, 9, 4), "volume": (4, 5, 4, 2)}
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
    ("steps", L.SeparableConv1D, [{"filters": 3, "kernel_size": 2, "dilation_rate": 2}]),
    *(("steps", kind, [{"pool_size": 3, "strides": 2, "padding": "same"}])
      for kind in (L.MaxPooling1D, L.AveragePooling1D)),
    *(("steps", kind, [{"output_size": 3}]) for kind in (L.AdaptiveMaxPooling1D, L.AdaptiveAveragePooling1D)),
    *(("steps", kind, [{}, {"keepdims": True}]) for kind in (L.GlobalMaxPooling1D, L.GlobalAveragePooling1D)),
    ("steps", L.Flatten, [{}]),
    ("steps", L.Permute, [{"dims": (2, 1)}]),
    *(("steps", kind, [arguments]) for kind, arguments in (
        (L.Cropping1D, {"cropping": 1}), (L.ZeroPadding1D, {"padding": 2}), (L.UpSampling1D, {"size": 2}),
        (L.SpatialDropout1D, {"rate": 0.5}))),
    *(("steps", kind, [{"units": 3, "return_sequences": True, "go_backwards": True}])
      for kind in (L.SimpleRNN, L.LSTM, L.GRU)),
    ("image", L.Conv2D, [{"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same"},
                         {"filters": 4, "kernel_size": (3, 2), "dilation_rate": 2, "groups": 2}]),
    ("image", L.Conv2DTranspose, [{"filters": 2, "kernel_size": 3, "strides": 2, "padding": "same"}]),
    ("image", L.DepthwiseConv2D, [{"kernel_size": 3, "strides": 2, "padding": "same", "depth_multiplier": 2}]),
    ("image", L.SeparableConv2D, [{"filters": 3, "kernel_size": 3, "padding": "same"}]),
    ("image", L.GroupNormalization, [{"groups": 2}]),
    ("image", L.BatchNormalization, [{"axis": 1}]),
    *(("image", kind, [{"pool_size": 3, "strides": 2, "padding": "same"}])
      for kind in (L.MaxPooling2D, L.AveragePooling2D)),
    ("image", L.MaxPooling2D, [{"pool_size": 2, **FIRST}]),
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
    "own_function": ("flat", lambda: L.Dense(2, activation=lambda x: x**3)),
}
PAIRS = (L.Add, L.Average, L.Concatenate, L.Subtract, L.Maximum, L.Minimum)
ATTENTION: dict[str, Callable[[Any, Any], Any]] = {
    "multi_head": lambda x, y: L.MultiHeadAttention(2, 3, name="multi_head")(x, y, use_causal_mask=True),
    "grouped": lambda x, y: L.GroupQueryAttention(3, 2, 1, name="grouped")(x, y),
    "luong": lambda x, y: L.Attention(use_scale=True, name="luong")([x, y]),
    "bahdanau": lambda x, y: L.AdditiveAttention(name="bahdanau")([x, y]),
}
SINGLE = {
    f"{kind.__name__}_{number}_{place}": (source, kind, options)
    for place, (source, kind, several) in enumerate(CASES)
    for number, options in enumerate(several)
}
NAMES = [*SINGLE, *WRAPPED, *(kind.__name__ for kind in PAIRS), *ATTENTION]


def _model(sources: set[str]) -> keras.Model:
    """All cases that take these inputs."""
    inputs = {name: keras.Input(shape) for name, shape in INPUTS.items() if name in sources}
    outputs = [
        kind(name=name, **options)(inputs[source])
        for name, (source, kind, options) in SINGLE.items()
        if source in sources
    ]
    for name, (source, make) in WRAPPED.items():
        if source in sources:
            layer = make()
            layer.name = name
            outputs.append(layer(inputs[source]))
    if "image" in sources:
        inputs["other"] = keras.Input(INPUTS["image"])
        outputs += [kind(name=kind.__name__)([inputs["image"], inputs["other"]]) for kind in PAIRS]
    if "steps" in sources:
        inputs["more"] = keras.Input(INPUTS["steps"])
        outputs += [make(inputs["steps"], inputs["more"]) for make in ATTENTION.values()]
    return keras.Model(list(inputs.values()), [L.Flatten()(output) for output in outputs])


def _trials(model: keras.Model, dtype: str) -> dict[str, tuple[str, Trial]]:
    draw = np.random.default_rng(2)
    for variable in model.variables:
        if keras.backend.is_float_dtype(variable.dtype):
            low = 0.5 if "variance" in variable.name else -1.0
            variable.assign(draw.uniform(low, 1.5, variable.shape))
    # One output's gradients, so that those of the others need not be compiled.
    surrogate = Surrogate(model, Plan(True, dtype=dtype), lambda outputs: (tf.reduce_sum(outputs[0]), {}))
    sums = surrogate.run(ones(model))
    return {sums.nodes[trial.node].operation.name: (dtype, trial) for trial in sums.trials}


@pytest.fixture(scope="module")
def tried() -> dict[str, tuple[str, Trial]]:
    """Of each layer what it gave on random inputs; none is spared, whoever made its rule. TensorFlow pools volumes in
    float32 only."""

    def judged(kind: type) -> Any:
        found = rule_for(kind)
        return found and dataclasses.replace(found, own=False)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tracing, "rule_for", judged)
        patch.setattr(unknown, "_TRIALS", dict.fromkeys(("float64", "float32"), ((0.2, 1.0),)))
        return _trials(_model({"flat", "steps", "image"}), "float64") | _trials(_model({"volume"}), "float32")


@pytest.mark.parametrize("name", NAMES)
def test_linear_and_monotone(name: str, tried: dict[str, tuple[str, Trial]]) -> None:
    dtype, trial = tried[name]
    assert trial.least >= -NEGATIVE[dtype]
    assert trial.increase >= -NEGATIVE[dtype]
    assert trial.additivity <= LINEAR[dtype]


# Without data there is nothing to try: they take no numbers, give none, or multiply two tensors.
_NOT_TRIED = {"Embedding", "ReversibleEmbedding", "CategoryEncoding", "HashedCrossing", "StringLookup", "IntegerLookup",
              "TextVectorization", "Hashing", "Discretization", "Softmax", "Multiply", "Dot", "Bidirectional", "RNN",
              "TimeDistributed", "SpectralNormalization", "LSTMCell", "GRUCell", "SimpleRNNCell", "StackedRNNCells",
              "MultiHeadAttention", "GroupedQueryAttention", "GroupQueryAttention", "Attention", "AdditiveAttention",
              "ConvLSTM1D", "ConvLSTM3D", "Masking"}  # fmt: skip


def test_every_layer_with_a_rule_is_tried() -> None:
    ruled = {kind for _, kind in inspect.getmembers(L, inspect.isclass) if issubclass(kind, L.Layer) and rule_for(kind)}
    here = {kind for _, kind, _ in CASES} | set(PAIRS)
    assert {kind.__name__ for kind in ruled - here} <= _NOT_TRIED
