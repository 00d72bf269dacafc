"""Facts of real graphs: each finder finds what was built, with its numbers, and nothing where it was not."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from profiled import profiled

from bench import advice as problems
from bench.zoo import ZOO
from tfopt.model.load import load
from tfopt.records.advice import StepFacts
from tfopt.trace.scopes import OPTIMIZER, ScopeTable
from tfopt.workload.device import place
from tfopt.workload.facts import step_facts
from tfopt.workload.facts.finding import TracedStep
from tfopt.workload.facts.ops import StepOps
from tfopt.workload.facts.repeats import repeated_work
from tfopt.workload.graph import StepGraph
from tfopt.workload.options import Options
from tfopt.workload.scope_names import usable_scopes
from tfopt.workload.workload import prepare


def facts(model: keras.Model, **options: Any) -> StepFacts:
    """Those of a model's step, traced and not run."""
    with usable_scopes():
        workload = prepare(model, Options(**options), place("cpu"))
    return step_facts(workload, StepGraph(workload.step.concrete(workload.batch.arguments)), "CPU")


def chain(*made: layers.Layer, shape: tuple[int, ...] = (16,), optimizer: Any = "adam") -> keras.Model:
    model = keras.Sequential([keras.Input(shape), *made])
    model.compile(optimizer, "mse")
    return model


def looked_up(optimizer: Any) -> keras.Model:
    inputs = keras.Input((4,), dtype="int32")
    x = layers.GlobalAveragePooling1D()(layers.Embedding(1000, 8, name="table")(inputs))
    model = keras.Model(inputs, layers.Dense(2)(x))
    model.compile(optimizer, "mse")
    return model


def test_what_is_slow_under_xla() -> None:
    depthwise = facts(problems.depthwise(), batch_size=2).get("depthwise_convolution")
    assert depthwise is not None
    assert depthwise.count == len(depthwise.layers) == 2
    assert depthwise.numbers == {"forward_macs": 2 * (2 * 32 * 32 * 32 * 9), "gradient_ops": 3}  # none to the input
    pooled = facts(problems.pooled(), batch_size=2).get("max_pool_gradient")
    assert pooled is not None
    assert (pooled.count, pooled.numbers["values"]) == (2, 2 * 16 * (64 * 64 + 32 * 32))
    grouped = facts(problems.grouped(4, False)(), batch_size=2).get("convolution_under_xla")
    assert grouped is not None
    assert (grouped.count, len(grouped.ops)) == (1, 2)
    assert facts(problems.grouped(4, True)(), batch_size=2).get("convolution_under_xla") is None


def test_random_tensors_are_slow_under_xla_where_they_are_the_only_ones_of_their_shape() -> None:
    lone = facts(problems.dropped(), batch_size=4).get("lone_random")
    assert lone is not None
    assert (lone.count, lone.numbers["values"]) == (3, 4 * (512 + 384 + 256))
    assert facts(ZOO["mlp"](), batch_size=4).get("lone_random") is None
    assert facts(problems.dropped(), batch_size=4, mode="infer").get("lone_random") is None


def test_products_in_half_precision_are_named_by_dtype() -> None:
    mixed = chain(layers.Dense(4, name="low", dtype="mixed_float16"), layers.Dense(4, name="full"))
    (half,) = facts(mixed, batch_size=4).all("half_products")
    assert half.detail == "float16"
    assert [path.rpartition("/")[2] for path in half.layers] == ["low"]
    assert half.count == len(half.ops) == 2  # forward and the kernel's gradient; none to the input
    assert facts(chain(layers.Dense(4)), batch_size=4).get("half_products") is None


def test_casts_of_images_are_none_to_half_precision() -> None:
    model = keras.Sequential([keras.Input((8, 8, 3), dtype="uint8"), layers.Rescaling(1 / 255), layers.Flatten()])
    model.add(layers.Dense(4))
    model.compile("adam", "mse")
    assert facts(model, batch_size=2).get("half_casts") is None
    casts = facts(model, batch_size=2, precision="mixed_bfloat16").get("half_casts")
    assert casts is not None
    assert casts.count == len(casts.ops)


def test_activations_that_might_be_others() -> None:
    model = chain(
        layers.Dense(4, activation="relu"),
        layers.Dense(4, activation="gelu", name="a"),
        layers.Dense(4, activation=functools.partial(keras.activations.gelu, approximate=True), name="b"),
        layers.Dense(4, activation=layers.LeakyReLU(), name="c"),
        layers.EinsumDense("ab,bc->ac", 4, bias_axes="c"),
        layers.Dense(4, activation="softmax"),
    )
    found = facts(model, batch_size=2).all("activation")
    assert {fact.detail: [path.rpartition("/")[2] for path in fact.layers] for fact in found} == {
        "gelu": ["a", "b"],
        "leakyrelu": ["c"],
    }


def test_numbers() -> None:
    model = chain(layers.Dense(61), layers.Dense(8))
    casts = facts(model, batch_size=4, precision="mixed_bfloat16").get("half_casts")
    assert casts is not None
    assert casts.numbers["bytes"] >= (16 * 61 + 61 * 8) * 2 * 6  # kernels and their gradients
    found = facts(chain(layers.Dense(61), layers.Dense(8)), batch_size=4)
    odd = found.get("odd_dimensions")
    assert odd is not None
    assert odd.numbers["flops_share"] == 1
    assert "dense" in odd.detail
    assert found.get("half_casts") is None
    assert found.get("float64") is None
    assert facts(chain(layers.Dense(64), layers.Dense(8)), batch_size=4).get("odd_dimensions") is None
    wide = facts(chain(layers.Dense(64, dtype="float64"), layers.Dense(8)), batch_size=4).get("float64")
    assert wide is not None
    assert any(name.endswith("MatMul") for name in wide.ops)


def test_float64_targets_are_found_with_their_cast(tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", x=np.ones((8, 16)), y=np.ones((8, 4)))
    found = facts(chain(layers.Dense(4)), data=str(tmp_path / "data.npz")).get("float64")
    assert found is not None
    assert (found.count, found.numbers["inputs"]) == (1, 1)


def test_python_functions_and_recurrences() -> None:
    called = facts(problems.squashed(True)(), batch_size=4).get("python_function")
    assert called is not None
    assert called.count == 2  # forward and gradient
    rolled = facts(problems.recurrent(False)(), batch_size=4)
    loop = rolled.get("recurrent_loop")
    assert loop is not None
    assert (loop.count, loop.numbers["time_steps"]) == (1, 20)
    unrolled = facts(problems.recurrent(True)(), batch_size=4)
    assert unrolled.get("recurrent_loop") is None


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({}, ""),
        ({"unroll": True}, "unroll=True"),
        ({"activation": "relu"}, "activation=relu"),
        ({"recurrent_dropout": 0.1}, "recurrent_dropout=0.1"),
    ],
)
def test_why_a_recurrence_cannot_use_cudnn(arguments: dict[str, Any], reason: str) -> None:
    found = facts(chain(layers.GRU(4, **arguments), shape=(3, 2)), batch_size=2).get("unfused_recurrence")
    assert (found.detail.partition(": ")[2] if found else "") == reason


def test_repeated_work() -> None:
    found = facts(problems.twice(True)(), batch_size=4).get("repeated_work")
    assert found is not None
    assert [name.rpartition("/")[2] for name in found.ops] == ["MatMul", "BiasAdd"]
    assert [name.rpartition("/")[2] for name in found.repeats] == ["MatMul", "BiasAdd"]
    assert not {*found.ops} & {*found.repeats}
    assert facts(problems.twice(False)(), batch_size=4).get("repeated_work") is None


@pytest.mark.parametrize(("written", "repeated"), [(False, 1), (True, 0)])
def test_a_variable_that_is_written_between_two_reads_has_two_values(written: bool, repeated: int) -> None:
    variable = tf.Variable(tf.ones((4, 4)))

    @tf.function
    def step(x: tf.Tensor) -> tf.Tensor:
        first = tf.matmul(x, variable)
        if written:
            variable.assign_add(tf.ones((4, 4)))
        return first + tf.matmul(x, variable)

    graph = StepGraph(step.get_concrete_function(tf.ones((4, 4))))
    found = list(repeated_work(TracedStep(StepOps.of(graph, ScopeTable()), ())))
    assert sum(fact.count for fact in found) == repeated


def test_two_draws_of_random_numbers_are_not_the_same_work() -> None:
    @tf.function
    def step() -> tf.Tensor:
        return tf.random.normal((4, 4)) + tf.random.normal((4, 4))

    graph = StepGraph(step.get_concrete_function())
    assert list(repeated_work(TracedStep(StepOps.of(graph, ScopeTable()), ()))) == []


def test_transposes_that_undo_each_other() -> None:
    found = facts(problems.turned(True)(), batch_size=2).get("needless_transposes")
    assert found is not None
    assert found.numbers["transposes"] == 8  # two pairs, and their gradients
    assert facts(problems.turned(False)(), batch_size=2).get("needless_transposes") is None
    needed = chain(layers.Permute((2, 1)), layers.Dense(4), layers.Permute((2, 1)), shape=(4, 4))
    assert facts(needed, batch_size=2).get("needless_transposes") is None


@pytest.mark.parametrize(("optimizer", "dense"), [("adam", 1), ("sgd", 0), ("momentum", 1), ("clipped", 1)])
def test_tables_that_are_updated_as_a_whole(optimizer: str, dense: int) -> None:
    made = {
        "momentum": lambda: keras.optimizers.SGD(momentum=0.9),
        "clipped": lambda: keras.optimizers.SGD(global_clipnorm=1.0),
    }
    found = facts(looked_up(made[optimizer]() if optimizer in made else optimizer), batch_size=2)
    tables = found.all("dense_embedding_update")
    assert len(tables) == dense
    for table in tables:
        assert table.numbers == {"rows": 1000, "looked_up": 8, "width": 8}
        assert table.layers[0].endswith("/table")
    updates = found.get("optimizer_updates")
    assert updates is not None
    assert updates.numbers == {"variables": 3, "small_variables": 3}


def test_clipping_is_told_apart_where_variables_have_one_shape() -> None:
    """Two tables and a kernel of one shape, all clipped by their norm together."""
    inputs = keras.Input((4,), dtype="int32")
    tables = [layers.Embedding(40, 8, name=name)(inputs) for name in ("one", "two")]
    x = layers.Dense(40)(layers.GlobalAveragePooling1D()(tables[0] + tables[1]))
    model = keras.Model(inputs, layers.Dense(8, name="kernel")(x))
    model.compile(keras.optimizers.SGD(global_clipnorm=1.0), "mse")
    found = facts(model, batch_size=2).all("dense_embedding_update")
    assert [fact.layers[0].rpartition("/")[2] for fact in found] == ["one", "two"]
    one, two = ({*fact.ops} for fact in found)
    assert not one & two
    assert len(one) == len(two) == 4  # two sums of rows, the clipped gradient, the update
    with usable_scopes():
        workload = prepare(model, Options(batch_size=2), place("cpu"))
    step = TracedStep.of(workload, StepGraph(workload.step.concrete(workload.batch.arguments)))
    clipped = {op.name for op in step.ops.ops if op.shape == (40, 8) and op.type == "Mul" and op.layer == OPTIMIZER}
    assert len(clipped) == 3
    assert len(clipped - one - two) == 1  # the kernel's


def tied() -> keras.Model:
    """A table that is the kernel of the output, too."""
    inputs = keras.Input((4,), dtype="int32")
    table = layers.ReversibleEmbedding(1000, 8, name="table")
    return keras.Model(inputs, table(table(inputs), reverse=True))


def regularized() -> keras.Model:
    inputs = keras.Input((4,), dtype="int32")
    x = layers.Embedding(1000, 8, name="table", embeddings_regularizer="l2")(inputs)
    return keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling1D()(x)))


def multiplied() -> keras.Model:
    """A table that another layer's product reads."""

    class Scores(layers.Layer):  # type: ignore[misc]
        def __init__(self, table: Any) -> None:
            super().__init__()
            self.table = table

        def call(self, x: Any) -> Any:
            return keras.ops.matmul(x, keras.ops.transpose(self.table.embeddings))

    inputs = keras.Input((4,), dtype="int32")
    table = layers.Embedding(1000, 8, name="table")
    return keras.Model(inputs, Scores(table)(table(inputs)))


@pytest.mark.parametrize("build", [tied, regularized, multiplied])
def test_no_optimizer_helps_a_table_whose_gradient_is_dense_anyway(build: Callable[[], keras.Model]) -> None:
    model = build()
    model.compile("adam", "mse")
    assert facts(model, batch_size=2).all("dense_embedding_update") == ()


def test_an_eager_step_has_no_graph_to_find_anything_in() -> None:
    assert facts(problems.depthwise(), batch_size=2, eager=True).facts == ()


def test_a_real_model(real_models: Path) -> None:
    model = load(str(real_models / "melody_lstm.keras")).model
    loop = facts(model, batch_size=2).get("recurrent_loop")
    assert loop is not None
    assert loop.numbers["time_steps"] > 1


def test_a_profile_gives_advice_on_what_was_built() -> None:
    """The update of four large tables is most of this step, and it is known why."""
    record = profiled(ZOO["embeddings"](), steps=3, trace_steps=2, batch_size=8)
    found = next(advice for advice in record.advice if advice.id == "dense-embedding-update")
    assert len(found.layers) == 4
    assert found.evidence["share"] > 0.5
    assert found.command == ""  # a model object has no command line
    assert record.facts is not None
    assert record.facts.device == record.run.device
