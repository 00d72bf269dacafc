"""Costs of updates: what each optimizer computes and moves, and how much of a table that is looked up."""

from __future__ import annotations

from typing import Any

import keras
import pytest
import tensorflow as tf

from tests.integration.cost_cases import cost_rows
from tfopt.model.cost import optimizers
from tfopt.model.cost.counting import OpCounter

_L = keras.layers


def test_an_embedding_reads_the_rows_it_looks_up() -> None:
    model = keras.Sequential([keras.Input((5,), dtype="int32"), _L.Embedding(1000, 8, name="table")])
    row = cost_rows(model, tf.zeros((2, 5), "int32"), optimizer=keras.optimizers.SGD())["table"]
    assert (row.params, row.macs, row.forward_flops, row.backward_flops) == (8000, 0, 0, 2 * 5 * 8)
    assert row.forward_bytes == 4 * 10 + 2 * 4 * 80
    # plain SGD updates the rows that were looked up
    assert (row.optimizer_flops, row.optimizer_bytes) == (2 * 80, 3 * 4 * 80)


@pytest.mark.parametrize(
    "optimizer",
    [
        keras.optimizers.SGD(momentum=0.9),
        keras.optimizers.SGD(weight_decay=0.1),
        keras.optimizers.SGD(clipnorm=1.0),
        keras.optimizers.Adam(),
    ],
)
def test_any_other_optimizer_looks_at_the_whole_table(optimizer: Any) -> None:
    model = keras.Sequential([keras.Input((5,), dtype="int32"), _L.Embedding(1000, 8, name="table")])
    row = cost_rows(model, tf.zeros((2, 5), "int32"), optimizer=optimizer)["table"]
    assert row.optimizer_flops % 8000 == 0 < row.optimizer_flops


def test_a_table_that_is_looked_at_as_a_whole_is_updated_as_a_whole() -> None:
    inputs = keras.Input((5,), dtype="int32")
    table = _L.ReversibleEmbedding(1000, 8, name="table")
    model = keras.Model(inputs, table(table(inputs), reverse=True))
    row = cost_rows(model, tf.zeros((2, 5), "int32"), optimizer=keras.optimizers.SGD())["table"]
    assert row.optimizer_flops == 2 * 8000


@pytest.mark.parametrize(
    ("optimizer", "flops", "moved"),
    [
        (keras.optimizers.SGD(), 2, 3),
        (keras.optimizers.SGD(momentum=0.9), 4, 5),
        (keras.optimizers.Adam(), 12, 7),
        (keras.optimizers.AdamW(), 15, 7),
        (keras.optimizers.RMSprop(), 9, 5),
        (keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam()), 14, 7),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_updates(optimizer: Any, flops: int, moved: int) -> None:
    model = keras.Sequential([keras.Input((5,)), _L.Dense(6, name="one")])
    row = cost_rows(model, tf.zeros((3, 5)), optimizer=optimizer)["one"]
    assert (row.optimizer_flops, row.optimizer_bytes) == (36 * flops, 36 * 4 * moved)


_MORE = {
    "SGD": ({}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}, {"weight_decay": 0.1}, {"use_ema": True}),
    "RMSprop": ({}, {"centered": True}, {"momentum": 0.9}),
    "Adam": ({}, {"amsgrad": True}),
}


@pytest.mark.parametrize(
    ("name", "options"), [(name, options) for name in optimizers._RULES for options in _MORE.get(name, ({},))]
)
def test_updates_have_the_operations_of_their_graphs(name: str, options: dict[str, Any]) -> None:
    optimizer, size = getattr(keras.optimizers, name)(**options), 1000
    variable = keras.Variable(tf.ones((size,)))
    optimizer.build([variable])
    update = tf.function(lambda gradient: optimizer.apply([gradient], [variable]), autograph=False)
    count = OpCounter().graph(update.get_concrete_function(tf.TensorSpec((size,))).graph)
    assert not count.uncounted
    assert count.other // size == optimizers.update_flops(optimizer, 1)
