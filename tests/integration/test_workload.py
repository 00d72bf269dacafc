"""What `prepare` makes of models, options and data: never another step than the model's own, in silence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from profiled import profiled

from tests.integration.test_step import CASES
from tfopt.errors import TfoptError, UsageError
from tfopt.workload.device import place
from tfopt.workload.options import Options
from tfopt.workload.workload import prepare


@pytest.mark.parametrize("name", CASES)
def test_prepared_step_equals_train_on_batch(name: str) -> None:
    """The whole path of a profile, on the synthetic batch that it draws itself."""
    pair = []
    for _ in range(2):
        keras.utils.set_random_seed(3)
        pair.append(CASES[name][0]())
    reference, model = pair
    workload = prepare(model, Options(batch_size=8), place("cpu"))
    x, y, weight = workload.batch.arguments
    run = workload.runner()
    for _ in range(5):
        reference.train_on_batch(x, y, sample_weight=weight)
        run()
    for left, right in zip(model.weights, reference.weights, strict=True):
        np.testing.assert_array_equal(left.numpy(), right.numpy())
    assert workload.step.retraces() == ()
    assert run.examples == 40


class Adversarial(keras.Model):
    """Two networks, two optimizers, one `train_step` of its own: a small GAN."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.maker = layers.Dense(8, name="maker")
        self.judge = layers.Dense(1, name="judge")

    def compile(self, maker_optimizer: Any, judge_optimizer: Any) -> None:
        super().compile(optimizer="sgd")
        self.maker_optimizer, self.judge_optimizer = maker_optimizer, judge_optimizer

    def call(self, x: Any) -> Any:
        return self.judge(self.maker(x))

    def train_step(self, data: Any) -> dict[str, Any]:
        x = data[0] if isinstance(data, tuple) else data
        losses = {}
        for part, optimizer, sign in (
            (self.maker, self.maker_optimizer, 1.0),
            (self.judge, self.judge_optimizer, -1.0),
        ):
            with tf.GradientTape() as tape:
                loss = sign * tf.reduce_mean(self(x))
            gradients = tape.gradient(loss, part.trainable_variables)
            optimizer.apply_gradients(zip(gradients, part.trainable_variables, strict=True))
            losses[part.name] = loss
        return {"accuracy": tf.constant(0.125), **losses}


def test_several_optimizers_are_left_unbuilt_and_nothing_is_claimed_of_their_loss() -> None:
    model = Adversarial()
    model(np.zeros((1, 4), "float32"))
    model.compile(keras.optimizers.Adam(), keras.optimizers.Adam())
    record = profiled(model, steps=3)
    assert record.run.step_source == "Adversarial.train_step"
    assert not model.maker_optimizer.built
    assert not model.judge_optimizer.built
    assert (record.step.last_loss, record.step.nonfinite_losses) == (None, 0)
    assert any("train_step is given targets" in note.message for note in record.notes)
    rows = {row.path: row for row in record.layers}
    assert all(rows[f"{model.name}/{name}"].optimizer_ms > 0 for name in ("maker", "judge"))
    assert record.coverage.attributed > 0.9


def test_updates_that_accumulate_are_not_skipped() -> None:
    for optimizer in (keras.optimizers.Adam(gradient_accumulation_steps=4), keras.optimizers.Adam()):
        inputs = keras.Input((8,))
        model = keras.Model(inputs, layers.Dense(1)(inputs))
        model.compile(optimizer, lambda y, p: keras.ops.mean(p - y) * 1e-3)  # far from overflow
        record = profiled(model, precision="mixed_float16", steps=9)
        assert record.step.skipped_steps == 0


def two_outputs() -> Any:
    inputs = keras.Input((6,), name="x")
    outputs = {"kind": layers.Dense(3, name="kind")(inputs), "size": layers.Dense(1, name="size")(inputs)}
    model = keras.Model(inputs, outputs)
    losses = {"kind": keras.losses.SparseCategoricalCrossentropy(from_logits=True), "size": "mse"}
    model.compile("adam", losses, loss_weights={"kind": 1.0, "size": 5.0})
    return model


def test_another_optimizer_keeps_the_loss_and_its_weights() -> None:
    model = two_outputs()
    workload = prepare(model, Options(optimizer="sgd", batch_size=4), place("cpu"))
    assert workload.optimizer == "SGD"
    assert model._compile_loss._user_loss_weights == {"kind": 1.0, "size": 5.0}
    assert workload.notes == ()


def test_another_loss_says_that_the_weights_went() -> None:
    workload = prepare(two_outputs(), Options(loss="mse", batch_size=4), place("cpu"))
    assert workload.optimizer == "Adam"
    assert any("loss weights" in note.message for note in workload.notes)


def test_notes_name_what_was_really_assumed() -> None:
    inputs = keras.Input((6,))
    model = keras.Model(inputs, layers.Dense(1)(inputs))
    (note,) = prepare(model, Options(optimizer="sgd"), place("cpu")).notes
    assert "mean_squared_error" in note.message
    assert "optimizer" not in note.message


def test_targets_of_several_outputs_from_npz(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    path = tmp_path / "d.npz"
    np.savez(path, x=rng.random((9, 6)), kind=rng.integers(0, 3, 9), size=rng.random((9, 1)))
    record = profiled(two_outputs(), data=str(path), steps=2, trace_steps=1)
    assert record.run.batch_size == 9
    assert record.step.last_loss is not None


def test_precision_is_what_the_model_has() -> None:
    inputs = keras.Input((8,))
    model = keras.Model(inputs, layers.Dense(4, dtype="mixed_bfloat16")(inputs))
    record = profiled(model, steps=2, trace_steps=1)
    assert record.run.precision == "mixed_bfloat16"
    assert set(record.precision.compute_ops) == {"bfloat16"}
    assert set(profiled(model, precision="float32", steps=2).precision.compute_ops) == {"float32"}
    assert model.layers[1].dtype_policy.name == "mixed_bfloat16"


def test_a_recurrent_cell_is_counted_once() -> None:
    inputs = keras.Input((5, 8))
    model = keras.Model(inputs, layers.LSTM(4)(inputs))
    # Two products forward; backward two for the weights' gradients and two for the inputs', of which the first
    # step's input needs none.
    record = profiled(model, steps=2, trace_steps=1)
    assert 4 <= record.precision.compute_ops["float32"] <= 6


class Uninlined(layers.Layer):
    """A layer whose work is in a function that TensorFlow keeps apart."""

    def build(self, shape: Any) -> None:
        self.kernel = self.add_weight(shape=(shape[-1], 512), name="kernel")

    @tf.function(autograph=False, experimental_attributes={"_noinline": True})
    def apart(self, x: Any) -> Any:
        return tf.nn.tanh(tf.matmul(x, self.kernel))

    def call(self, x: Any) -> Any:
        return self.apart(x)


def test_a_function_that_is_not_inlined_belongs_to_its_caller() -> None:
    inputs = keras.Input((256,))
    model = keras.Model(inputs, layers.Dense(4)(Uninlined(name="apart")(inputs)))
    record = profiled(model, mode="infer", steps=5)
    assert record.coverage.attributed > 0.95
    rows = {row.path.rpartition("/")[2]: row for row in record.layers}
    assert rows["apart"].forward_ms > rows["dense"].forward_ms if "dense" in rows else rows["apart"].forward_ms > 0


class Custom(keras.Sequential):
    """A Sequential with a training step of its own, which a clone would lose."""

    def train_step(self, data: Any) -> Any:
        return super().train_step(data)


def test_a_class_of_its_own_is_not_rebuilt_without_its_step() -> None:
    model = Custom([keras.Input((8,)), layers.Dense(4)])
    model.compile("adam", "mse")
    with pytest.raises(TfoptError, match="cannot rebuild it in bfloat16"):
        profiled(model, precision="bfloat16")
    assert profiled(model, precision="mixed_bfloat16", steps=2).run.step_source == "Custom.train_step"


@pytest.mark.parametrize("precision", ["bfloat16", "mixed_bfloat16", "mixed_float16", "float32"])
def test_the_chosen_optimizer_runs_in_every_precision_and_scales_only_in_mixed_float16(precision: str) -> None:
    inputs = keras.Input((8,))
    model = keras.Model(inputs, layers.Dense(4, dtype="mixed_float16")(inputs))
    model.compile(keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam()), lambda y, p: keras.ops.mean(p - y))
    record = profiled(model, precision=precision, optimizer="sgd", steps=2)
    assert record.run.optimizer == ("SGD with loss scaling" if precision == "mixed_float16" else "SGD")


def test_the_model_s_own_loss_scaling_follows_the_precision() -> None:
    inputs = keras.Input((8,))
    model = keras.Model(inputs, layers.Dense(4, dtype="mixed_float16")(inputs))
    model.compile(keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam()), "mse")
    assert profiled(model, precision="float32", steps=2).run.optimizer == "Adam"
    assert profiled(model, steps=2).run.optimizer == "Adam with loss scaling"


def test_a_model_stored_in_half_gets_full_variables_when_mixed() -> None:
    inputs = keras.Input((8,))
    model = keras.Model(inputs, layers.Dense(4, dtype="bfloat16")(inputs))
    assert profiled(model, steps=2).model.weight_bytes == 36 * 2
    assert profiled(model, precision="mixed_bfloat16", steps=2).model.weight_bytes == 36 * 4


class HalfLoss(keras.Model):
    """A model whose loss is a bfloat16 number."""

    def compute_loss(self, *args: Any, **kwargs: Any) -> Any:
        return keras.ops.cast(super().compute_loss(*args, **kwargs), "bfloat16")


def test_a_loss_in_bfloat16_is_a_number() -> None:
    inputs = keras.Input((8,))
    model = HalfLoss(inputs, layers.Dense(4)(inputs))
    model.compile("adam", "mse")
    step = profiled(model, steps=2).step
    assert step.nonfinite_losses == 0
    assert step.last_loss is not None


def test_backward_of_a_model_s_own_step_is_told_apart_in_eager_mode() -> None:
    model = Custom([keras.Input((8,)), layers.Dense(4)])
    model.compile("adam", "mse")
    record = profiled(model, eager=True, steps=2)
    assert next(row for row in record.layers if row.path == "(backward)").backward_ms > 0
    assert tf.GradientTape.gradient.__qualname__ == "GradientTape.gradient"


def test_metrics_and_optimizers_in_lists_are_left_as_they_were() -> None:
    model = Custom([keras.Input((8,)), layers.Dense(4)])
    model.compile("adam", "mse", metrics=["mae"])
    model.spare = [keras.optimizers.Adam()]
    x = np.ones((4, 8), "float32")
    model.train_on_batch(x, np.ones((4, 4)))
    before = {name: float(value) for name, value in model.get_metrics_result().items()}
    profiled(model, steps=2)
    assert {name: float(value) for name, value in model.get_metrics_result().items()} == before
    assert not model.spare[0].built


class OnlyInputs(keras.Sequential):
    """A training step that takes no targets, like an autoencoder's."""

    def train_step(self, data: Any) -> dict[str, Any]:
        x = data[0] if isinstance(data, tuple) else data
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(self(x) - x))
        self.optimizer.apply_gradients(
            zip(tape.gradient(loss, self.trainable_variables), self.trainable_variables, strict=True)
        )
        return {"loss": loss}


def test_a_step_without_targets_takes_data_without_targets(tmp_path: Path) -> None:
    model = OnlyInputs([keras.Input((8,)), layers.Dense(8)])
    model.compile("adam")
    np.savez(tmp_path / "d.npz", x=np.ones((9, 8)))
    assert profiled(model, data=str(tmp_path / "d.npz"), steps=2).run.batch_size == 9
    assert profiled(model, steps=2).run.step_source == "OnlyInputs.train_step"


def test_arrays_that_nobody_uses_do_not_cut_the_batch(tmp_path: Path) -> None:
    inputs = keras.Input((8,))
    model = keras.Model(inputs, layers.Dense(1)(inputs))
    np.savez(tmp_path / "d.npz", x=np.ones((9, 8)), y=np.ones((9, 1)), unrelated=np.ones(2))
    assert profiled(model, data=str(tmp_path / "d.npz"), steps=2).run.batch_size == 9


def test_an_instance_s_own_call_survives() -> None:
    inputs = keras.Input((8,))
    layer = layers.Dense(4)
    model = keras.Model(inputs, layer(inputs))
    own = layer.call
    object.__setattr__(layer, "call", own)
    profiled(model, steps=2, trace_steps=1)
    assert vars(layer)["call"] is own


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"mode": "predict"}, "unknown mode 'predict'"),
        ({"precision": "fp16"}, "unknown precision 'fp16'"),
        ({"eager": True, "xla": True}, "exclude each other"),
        ({"loss": "no_such_loss"}, "no_such_loss"),
        ({"optimizer": "no_such_optimizer"}, "no_such_optimizer"),
        ({"batch_size": 10**7}, "cannot run: the output of"),
        ({"data": "module:function", "batch_size": 3}, "has no effect"),
    ],
)
def test_contradictions_are_refused(options: dict[str, Any], words: str) -> None:
    inputs = keras.Input((64, 64, 1))
    model = keras.Model(inputs, layers.Dense(1)(layers.Flatten()(layers.Conv2D(64, 3)(inputs))))
    with pytest.raises(TfoptError, match=words):
        profiled(model, **options)


def test_a_fixed_batch_is_not_another_one() -> None:
    inputs = keras.Input(batch_shape=(4, 8))
    model = keras.Model(inputs, layers.Dense(1)(inputs))
    assert profiled(model, steps=1, trace_steps=1).run.batch_size == 4
    with pytest.raises(UsageError, match="fixed at 4"):
        profiled(model, batch_size=8)
