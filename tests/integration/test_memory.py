"""The memory of a step on real TensorFlow: estimates against its counter, loops, private names, a killed process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import pytest
import tensorflow as tf
from keras import layers

from bench.zoo import ZOO
from tfopt.profiling.inspect import inspect
from tfopt.workload.device import place
from tfopt.workload.options import Options
from tfopt.workload.peak.estimate import estimate, liveness
from tfopt.workload.peak.measure import added_bytes
from tfopt.workload.peak.reading import program_of
from tfopt.workload.timing import finished
from tfopt.workload.workload import Workload, prepare


def workload(model: Any, batch: int, **options: Any) -> Workload:
    return prepare(model, Options(batch_size=batch, **options), place("cpu"))


def test_private_names_of_tensorflow_exist() -> None:
    graph = tf.function(lambda x: x).get_concrete_function(tf.TensorSpec(())).graph
    assert callable(graph._get_function)
    assert isinstance(graph.captures, list)


@pytest.mark.parametrize(("name", "batch"), [("cnn", 64), ("lstm", 512)])
def test_the_estimate_is_within_a_quarter_of_what_tensorflow_counts(name: str, batch: int) -> None:
    made = workload(ZOO[name](), batch)
    run = made.runner()
    for _ in range(2):
        finished(run())
    with added_bytes("CPU:0") as added:
        finished(run())
    memory = estimate(made)
    assert memory.estimate_bytes is not None
    state = memory.weight_bytes + memory.slot_bytes
    if added.bytes is None:
        pytest.skip("this build of TensorFlow counts no memory")
    assert memory.estimate_bytes - memory.uncounted_bytes == pytest.approx(state + added.bytes, rel=0.25)
    assert memory.peak_layer is not None


def test_twice_the_batch_is_traced_and_not_run() -> None:
    made = workload(ZOO["mlp"](), 512)
    one, two = liveness(made), liveness(made, 1024)
    assert one.weight_bytes == two.weight_bytes
    assert two.activation_bytes == pytest.approx(2 * one.activation_bytes, rel=0.05)
    assert made.batch.size == 512


@pytest.mark.parametrize("length", [10, 200])
def test_a_loop_keeps_its_tensors_once_per_time_step(length: int) -> None:
    """Also where it is cut short: an LSTM keeps seven tensors of its state's size per time step for backward."""
    inputs = keras.Input((length, 4))
    model = keras.Model(inputs, layers.Dense(1)(layers.LSTM(64)(inputs)))
    model.compile("sgd", "mse")
    memory = estimate(workload(model, 128))
    kept = 7 * length * 128 * 64 * 4
    assert kept <= memory.activation_bytes <= 1.3 * kept + 2**20


def test_nothing_is_said_where_nothing_is_known() -> None:
    model = ZOO["mlp"]()
    assert estimate(workload(model, 8, eager=True)).source == "none"
    assert estimate(workload(model, 8, eager=True)).estimate_bytes is None
    bound = estimate(workload(model, 8, xla=True))
    assert bound.source == "xla_lower_bound"
    assert bound.estimate_bytes == bound.weight_bytes + bound.slot_bytes + bound.temporary_bytes


def test_a_branch_and_a_call_are_looked_into() -> None:
    inner = tf.function(lambda x: tf.matmul(x, x))

    @tf.function(autograph=False)
    def step(x: Any) -> Any:
        y = inner(x)
        return tf.cond(tf.reduce_sum(y) > 0, lambda: tf.exp(tf.matmul(y, x)), lambda: y)

    program = program_of(step.get_concrete_function(tf.TensorSpec((300, 300))))
    assert sum(op.name.endswith("MatMul") for op in program.ops) == 2
    assert program.unknown == 0


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras, while saving
def test_the_largest_batch_within_a_limit_has_run(tmp_path: Path) -> None:
    file = tmp_path / "mlp.keras"
    ZOO["mlp"]().save(file)
    found = inspect(str(file), memory_limit="40MB").limit
    assert found is not None
    assert found.batch_size is not None
    assert found.measured_bytes is not None
    assert 25_000_000 < found.measured_bytes <= 40_000_000
    assert found.over_batch_size is not None
    assert found.batch_size < found.over_batch_size
