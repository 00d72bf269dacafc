"""Precision is judged by the ops of the traced graph, not by what a policy says."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from bench.zoo import ZOO
from tests.integration.profiled import profiled
from tfopt.errors import InputError
from tfopt.workload.precision import with_precision

DTYPE = {"mixed_float16": "float16", "mixed_bfloat16": "bfloat16", "float16": "float16", "bfloat16": "bfloat16"}


@pytest.mark.parametrize(
    ("name", "precision"), [*(("cnn", each) for each in DTYPE), ("rnn", "mixed_float16"), ("rnn", "bfloat16")]
)
def test_ops_compute_in_the_precision_asked_for(name: str, precision: str) -> None:
    record = profiled(ZOO[name](), precision=precision, steps=2, trace_steps=1, batch_size=4)
    assert record.run.precision == precision
    assert set(record.precision.compute_ops) == {DTYPE[precision]}
    assert record.precision.float32_ops == ()


def test_float32_counts_and_lists_nothing() -> None:
    record = profiled(ZOO["cnn"](), steps=2, trace_steps=1, batch_size=4)
    assert set(record.precision.compute_ops) == {"float32"}
    assert record.precision.float32_ops == ()


def test_what_stayed_float32_is_listed() -> None:
    class Stubborn(layers.Layer):
        """Computes in float32 whatever its policy says."""

        def build(self, shape: Any) -> None:
            self.kernel = self.add_weight(shape=(shape[-1], 4), name="kernel")

        def call(self, x: Any) -> Any:
            kernel = keras.ops.cast(self.kernel, "float32")
            return keras.ops.matmul(keras.ops.cast(x, "float32"), kernel)

    inputs = keras.Input((8,))
    model = keras.Model(inputs, Stubborn(name="stubborn")(layers.Dense(8)(inputs)))
    record = profiled(model, precision="mixed_bfloat16", steps=2, trace_steps=1)
    assert record.precision.compute_ops["bfloat16"] > 0
    assert all("stubborn" in name for name in record.precision.float32_ops)
    assert len(record.precision.float32_ops) == record.precision.compute_ops["float32"] > 0
    assert any("stayed float32" in note.message for note in record.notes)


def test_clone_keeps_the_weights() -> None:
    model = ZOO["rnn"]()
    clone = with_precision(model, "bfloat16")
    for ours, theirs in zip(model.get_weights(), clone.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs.astype("float32"), rtol=0.01)


def test_skipped_updates_are_counted() -> None:
    inputs = keras.Input((8,))
    model = keras.Model(inputs, layers.Dense(1)(inputs))
    # Gradients of this loss overflow float16 at the initial scale of 32768 and for some halvings after it.
    model.compile("sgd", lambda y, p: keras.ops.mean(keras.ops.square(p - y)) * 1e3)
    record = profiled(model, precision="mixed_float16", steps=5)
    assert record.step.skipped_steps > 0
    assert any("loss scaling skipped" in note.message for note in record.notes)
    assert record.run.optimizer is not None
    assert "loss scaling" in record.run.optimizer


def test_subclassed_model_is_refused_in_pure_half_precision() -> None:
    with pytest.raises(InputError, match="Subclassed is a subclassed model") as caught:
        profiled(ZOO["subclassed"](), precision="bfloat16")
    assert "--precision mixed_bfloat16" in caught.value.hint


def test_keras_ops_between_layers_work_or_are_refused() -> None:
    record = profiled(ZOO["transformer"](), precision="bfloat16", steps=2, trace_steps=1, batch_size=4)
    assert set(record.precision.compute_ops) == {"bfloat16"}
