"""The memory of a step on real TensorFlow: estimates against its counter, loops, private names, a killed process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import msgspec
import pytest
import tensorflow as tf
from keras import layers

from bench.zoo import ZOO
from tfopt.profiling import memory as profiling_memory
from tfopt.profiling.inspect import inspect
from tfopt.records.memory import MemoryLimit
from tfopt.report.progress import silent
from tfopt.trace.hlo_buffers import largest_buffers
from tfopt.trace.xspace import Space, read_space
from tfopt.workload.capture import capture
from tfopt.workload.device import place
from tfopt.workload.options import Options
from tfopt.workload.peak import limit as peak_limit
from tfopt.workload.peak.estimate import estimate, liveness, variable_bytes
from tfopt.workload.peak.measure import added_bytes
from tfopt.workload.peak.messages import Answer
from tfopt.workload.peak.reading import program_of
from tfopt.workload.peak.xla import xla_memory
from tfopt.workload.timing import finished
from tfopt.workload.workers.contestant import Contestant
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


class Counting(layers.Layer):
    """Counts its calls in a variable of TensorFlow's own that no step reads."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = tf.Variable(tf.zeros((256,)), trainable=False)

    def call(self, x: Any) -> Any:
        self.calls.assign_add(tf.ones((256,)), read_value=False)
        return x


def test_a_variable_that_no_step_reads_is_no_error() -> None:
    model = keras.Sequential([keras.Input((4,)), Counting(), layers.Dense(2)])
    model.compile("sgd", "mse")
    assert estimate(workload(model, 8)).source == "liveness"


class _Backwards(layers.Layer):
    """A loop whose counter is the larger side of its condition, that never turns."""

    def call(self, x: Any) -> Any:
        return tf.while_loop(lambda low, i, x: low < i, lambda low, i, x: (low, i + 1, x * 2.0), (7, 3, x))[2]


def test_a_loop_that_nobody_can_count_is_unknown() -> None:
    model = keras.Sequential([keras.Input((4,)), layers.Dense(2), _Backwards()])
    model.compile("sgd", "mse")
    assert estimate(workload(model, 8, mode="infer")).source == "none"


def test_of_a_case_the_longest_branch_is_taken() -> None:
    @tf.function(autograph=False)
    def step(at: Any, x: Any) -> Any:
        return tf.switch_case(at, [lambda: x, lambda: tf.exp(tf.sin(tf.matmul(x, x))), lambda: x + 1.0])

    program = program_of(step.get_concrete_function(tf.TensorSpec((), tf.int32), tf.TensorSpec((300, 300))))
    assert sum(op.name.endswith("MatMul") for op in program.ops) == 1


def test_what_cannot_be_estimated_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    made = workload(ZOO["mlp"](), 8)

    def broken(_: Workload) -> Any:
        raise KeyError("handle")

    monkeypatch.setattr(profiling_memory, "estimate", broken)
    memory, (note,) = profiling_memory.memory_of(made, Space(bytes=0, planes=()), 1000)
    assert (memory.source, memory.estimate_bytes) == ("none", None)
    assert memory.measured_bytes == memory.weight_bytes + memory.slot_bytes + 1000 > 1000
    assert note.message == "the memory of a step could not be estimated: 'handle'"


def test_the_batch_is_no_part_of_what_xla_adds(tmp_path: Path) -> None:
    """Of a wide input the batch is most of the operands: the program gets it, and allocates none of it."""
    model = keras.Sequential([keras.Input((64, 64)), layers.Flatten(), layers.Dense(10)])
    model.compile("sgd", "mse")
    made = workload(model, 512, xla=True)
    run = made.runner()
    finished(run())
    bound = estimate(made)
    buffers = largest_buffers(read_space(capture(run, 1, tmp_path).file))
    exact = xla_memory(buffers, *variable_bytes(made))
    assert exact.estimate_bytes is not None
    assert bound.estimate_bytes is not None
    assert bound.estimate_bytes <= exact.estimate_bytes
    assert 0 < bound.temporary_bytes < 512 * 64 * 64 * 4


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


@pytest.fixture
def within(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], MemoryLimit]:
    """The search on a machine without end where a step takes what is estimated, all of it in small tensors."""
    made = workload(ZOO["mlp"](), 32)

    def uncounted(contestant: Contestant) -> Answer:
        memory = liveness(made, contestant.options.batch_size)
        added = memory.activation_bytes + memory.gradient_bytes + memory.temporary_bytes
        return Answer(msgspec.structs.replace(memory, uncounted_bytes=added), (0, 0, 0), 10**9)

    monkeypatch.setattr(peak_limit, "measured", uncounted)
    monkeypatch.setattr(peak_limit, "available_memory", lambda: 10**15)
    contestant = Contestant("mlp", "mlp.keras", Options(batch_size=32))
    return lambda limit: peak_limit.batch_within(limit, made, contestant, silent)


def test_what_nobody_counts_is_within_the_limit_too(within: Callable[[int], MemoryLimit]) -> None:
    found = within(40_000_000)
    assert found.measured_bytes is not None
    assert 35_000_000 < found.measured_bytes <= 40_000_000
    assert found.uncounted_bytes > 20_000_000


def test_no_batch_is_tried_that_is_never_drawn(within: Callable[[int], MemoryLimit]) -> None:
    found = within(10**14)
    assert (found.batch_size, found.reason) == (10**9 // 256, "no larger batch is drawn here")
