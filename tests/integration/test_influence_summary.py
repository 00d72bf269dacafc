"""What a profile says of influence: the same as path weights and health by themselves, and nothing that fails it."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tfopt
from tfopt.report import render
from tfopt.report.view import View

QUICK: dict[str, Any] = {"steps": 1, "trace_steps": 1, "batch_size": 4}


def _residual() -> keras.Model:
    inputs = keras.Input((8,), name="x")
    x = layers.Dense(6, activation="relu", name="first")(inputs)
    y = layers.Dense(6, activation="relu", name="branch")(x)
    return keras.Model(inputs, layers.Dense(3, name="last")(layers.Add(name="merge")([x, y])), name="net")


def test_it_is_that_of_path_weights() -> None:
    model = _residual()
    before = [np.array(weight) for weight in model.get_weights()]
    record = tfopt.profile(model, **QUICK)
    assert record.influence is not None
    found, alone = record.influence.paths, tfopt.path_weights(model)
    assert found is not None
    assert found.log10_total == pytest.approx(alone.log10_total, abs=1e-12)
    assert [edge.target for edge in found.edges] == [edge.target for edge in alone.edges]
    assert [edge.share for edge in found.edges] == pytest.approx([edge.share for edge in alone.edges], abs=1e-12)
    assert [unit.top for unit in found.units] == [unit.top for unit in alone.units]
    assert found.consistent
    assert record.influence.samples == 4
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    screen = render(record, View(width=100))
    assert "Influence" in screen
    assert "skip from first" in screen


def test_it_can_be_left_out() -> None:
    record = tfopt.profile(_residual(), influence=False, **QUICK)
    assert record.influence is None
    assert "Influence" not in render(record, View(width=100))


def test_inference_has_no_gradients_to_look_at() -> None:
    record = tfopt.profile(_residual(), mode="infer", **QUICK)
    assert record.influence is not None
    assert record.influence.paths is not None
    assert record.influence.samples is None


class _Fragile(layers.Layer):
    """Takes nothing but batches of four."""

    def call(self, inputs: Any) -> Any:
        if inputs.shape[0] == 1:
            raise ValueError("one example is not enough")
        return tf.reverse(inputs, [0])


def test_what_cannot_be_summed_is_a_note() -> None:
    model = keras.Sequential([keras.Input((8,)), layers.Dense(4), _Fragile(), layers.Dense(2)])
    record = tfopt.profile(model, **QUICK)
    assert record.influence is not None
    assert record.influence.paths is None
    assert any("path weights are not known" in note.message for note in record.notes)
    assert "path weights are not known" in render(record, View(width=100))
