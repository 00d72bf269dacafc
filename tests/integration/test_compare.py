"""`tfopt.compare` with real worker processes."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import tfopt

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras, while saving


def test_a_model_object_is_compared_and_left_alone() -> None:
    inputs = keras.Input((16,))
    x = inputs
    for _ in range(6):
        x = keras.layers.Dense(16, activation="relu")(x)
    model = keras.Model(inputs, keras.layers.Dense(4, activation="softmax")(x), name="net")
    model.compile("adam", "sparse_categorical_crossentropy")
    before = [np.copy(weight) for weight in model.get_weights()]
    # Of two processes the interval is 13 standard errors wide: on a busy machine not even eager mode is out of it.
    record = tfopt.compare(model, variants=["graph", "eager"], processes=3, max_time=300)
    assert all(np.array_equal(one, other) for one, other in zip(before, model.get_weights(), strict=True))
    assert not model.optimizer.built

    assert record.baseline == "graph"
    assert [(arm.label, arm.rank, arm.model) for arm in record.arms] == [("graph", 1, "net"), ("eager", 2, "net")]
    eager = record.arms[1]
    assert eager.result is not None
    assert (eager.result.verdict, eager.result.wall is not None) == ("SLOWER", True)
    assert record.verdict[0] == "nothing is faster here than graph"
    assert "slower here: Python starts each op by itself" in record.verdict[1]
    assert {drift.label: drift.failure for drift in record.drifts} == {"graph": "", "eager": ""}
    assert record.run.device == "CPU"
    assert eager.break_even is not None
    assert eager.break_even.kind in ("until", "never")  # it needs no tracing, and loses with each step
