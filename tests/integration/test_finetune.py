"""Fine-tuning under masks: what it trains on, that it goes on where it stopped, and that it says what went wrong."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, optimizers
from keras.src.optimizers.multi_optimizer import MultiOptimizer

from tfopt.errors import InputError, RunFailed, UsageError
from tfopt.pruning.checkpoints import Checkpoint, _variables, fingerprint
from tfopt.pruning.finetune import Finetuning, _set_rate, finetune
from tfopt.pruning.prunable import Masks, Prunable
from tfopt.pruning.recalibrate import recalibrate
from tfopt.pruning.training_data import TrainingData, from_arrays, training_data
from tfopt.workload.options import Options

pytestmark = pytest.mark.usefixtures("unoptimized")

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(20, 6)).astype("float32"), RNG.integers(0, 3, 20)
SCHEDULE = (0.3, 0.5, 0.7, 0.7)


def network(optimizer: Any = None) -> Any:
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [keras.Input((6,)), layers.Dense(8, activation="relu"), layers.BatchNormalization(), layers.Dropout(0.5)]
    )
    model.add(layers.Dense(3, activation="softmax"))
    if optimizer is not None:
        model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"], run_eagerly=True)
    return model


def averaging() -> Any:
    return optimizers.Adam(0.02, use_ema=True, ema_momentum=0.8)


def kernels(model: Any) -> list[Prunable]:
    return [Prunable(each.kernel, each, each.path, (0,), (1,)) for each in model.layers if hasattr(each, "kernel")]


def tuned(model: Any, sparsities: tuple[float, ...], data: TrainingData | None = None, **more: Any) -> Finetuning:
    weights = kernels(model)

    def remask(sparsity: float) -> Masks:
        values = [np.abs(each.variable.numpy()) for each in weights]
        return [value > np.quantile(value, sparsity) if sparsity else value >= 0 for value in values]

    return finetune(model, weights, data or from_arrays(model, X, Y, batch_size=8), sparsities, remask, **more)


def state(model: Any) -> list[np.ndarray]:
    return [each.numpy() for each in (*model.variables, *model.optimizer.variables)]


def test_resumed_is_as_if_never_interrupted(tmp_path: Path) -> None:
    """Bit for bit, with Dropout and averaged weights, interrupted in the third of four epochs of a schedule."""
    options = {"sparsity": 0.7}
    straight = network(averaging())
    wanted = tuned(straight, SCHEDULE, lr=0.01)
    assert [each.sparsity for each in wanted.epochs] == list(SCHEDULE)
    assert [(each.variable.numpy() != 0).tolist() for each in kernels(straight)] == [m.tolist() for m in wanted.masks]

    path = tmp_path / "out.checkpoint"
    stopped = network(averaging())
    checkpoint = Checkpoint(path, fingerprint(stopped, options))

    def interrupt(stage: str, done: float | None) -> None:
        if done is not None and done > 0.6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tuned(stopped, SCHEDULE, lr=0.01, checkpoint=checkpoint, progress=interrupt)
    with pytest.raises(UsageError, match="did not end"):
        tuned(stopped, SCHEDULE, checkpoint=checkpoint)

    again = network(averaging())
    resumed = Checkpoint(path, fingerprint(again, options), resume=True)
    keras.utils.set_random_seed(99)
    begun: list[float] = []
    got = tuned(again, SCHEDULE, lr=0.01, checkpoint=resumed, progress=lambda stage, done: begun.append(done or 0.0))
    assert min(begun) == 0.5
    assert got.epochs == wanted.epochs
    for ours, theirs in zip(state(again), state(straight), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    resumed.remove()
    assert not list(tmp_path.iterdir())


class Rivals(keras.Model):
    """Two networks, each with an optimizer of its own, which Keras does not build."""

    def __init__(self) -> None:
        super().__init__()
        self.pair = [keras.Sequential([keras.Input((6,)), layers.Dense(3)]) for _ in range(2)]

    def compile(self, first: Any, second: Any) -> None:
        super().compile(run_eagerly=True)
        self.rivals = {"first": [first], "second": [second]}

    def call(self, x: Any) -> Any:
        return self.pair[0](x) - self.pair[1](x)

    def train_step(self, data: Any) -> Any:
        for part, (optimizer,) in zip(self.pair, self.rivals.values(), strict=True):
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(self(data[0]) ** 2)
            optimizer.apply(tape.gradient(loss, part.trainable_weights), part.trainable_weights)
        return {"loss": loss}


def rivals() -> Any:
    keras.utils.set_random_seed(1)
    model = Rivals()
    model.compile(averaging(), optimizers.SGD(0.0))
    model.build((None, 6))
    return model


def test_several_optimizers_are_resumed_and_have_one_rate(tmp_path: Path) -> None:
    """Their averages are held at zero, and the loss is that of the model's own step."""
    data = from_arrays(network("sgd"), X, Y, batch_size=8)
    straight, again = rivals(), rivals()
    weights = [Prunable(part.layers[0].kernel, part.layers[0], "", (0,), (1,)) for part in straight.pair]
    masks = [np.arange(18).reshape(6, 3) % 2 == 0] * 2
    checkpoint = Checkpoint(tmp_path / "c", "")
    wanted = finetune(straight, weights, data, (0.5,), lambda share: masks, lr=0.01, checkpoint=checkpoint)
    assert wanted.epochs[0].loss
    optimized = [each for held in straight.rivals.values() for each in held]
    assert [float(each.learning_rate) for each in optimized] == [pytest.approx(0.01)] * 2
    optimized[0].finalize_variable_values(straight.pair[0].trainable_weights)
    assert not weights[0].values[~masks[0]].any()
    assert Checkpoint(tmp_path / "c", "", resume=True).begin(again, 2)[1] == wanted.epochs
    for own, other in zip(optimized, [each for held in again.rivals.values() for each in held], strict=True):
        for ours, theirs in zip(own.variables, other.variables, strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_checkpoints_that_do_not_fit(tmp_path: Path) -> None:
    model = network(averaging())
    model.layers[0].kernel.assign(model.layers[0].kernel + 1)
    path = tmp_path / "c"
    own = fingerprint(model, {"lr": 1})
    with pytest.raises(UsageError, match="does not exist"):
        Checkpoint(path, own, resume=True).begin(model, 2)
    masks = [np.ones(each.shape, bool) for each in kernels(model)]
    Checkpoint(path, own).save(model, masks, ())
    assert Checkpoint(path, own, resume=True).begin(model, 2)[1] == ()
    for other in (fingerprint(model, {"lr": 2}), fingerprint(network(averaging()), {"lr": 1})):
        with pytest.raises(UsageError, match="another model"):
            Checkpoint(path, other, resume=True).begin(model, 2)
    whole = path.read_bytes()
    entry = whole.rindex(b"PK\x01\x02")  # of the last file: version 10.9, encrypted, packed in an unknown way, renamed
    for at, byte in ((entry + 6, 109), (entry + 8, 1), (entry + 10, 77), (entry + 46, 120), (-1, None)):
        path.write_bytes(whole[:200] if byte is None else whole[:at] + bytes([byte]) + whole[at + 1 :])
        with pytest.raises(InputError, match="cannot be read"):
            Checkpoint(path, own, resume=True).begin(model, 2)


def test_a_checkpoint_keeps_numbers_that_numpy_does_not_know(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2, dtype="bfloat16")])
    model.compile("sgd", "mse")
    kernel = model.layers[0].kernel
    before = kernel.numpy()
    checkpoint = Checkpoint(tmp_path / "c", "", resume=True)
    checkpoint.save(model, [], ())
    kernel.assign(kernel * 0)
    checkpoint.begin(model, 0)
    np.testing.assert_array_equal(kernel.numpy(), before)


def test_averages_are_written_once_and_the_optimizer_goes_on() -> None:
    """Nothing removed: the same as one `fit` from the same slots, at the rate that was asked for."""
    tuned_model, plain = network(averaging()), network(averaging())
    plain.fit(X, Y, batch_size=8, shuffle=False, verbose=0)
    tuned_model.optimizer.build(tuned_model.trainable_variables)
    for own, other in zip(_variables(tuned_model), _variables(plain), strict=True):
        own.assign(other)
    data = from_arrays(plain, X, Y, batch_size=8)
    plain.optimizer.learning_rate = 0.005
    epochs = [data.epoch(number) for number in range(3)]
    plain.fit(epochs[0].concatenate(epochs[1]).concatenate(epochs[2]), shuffle=False, verbose=0)
    tuned(tuned_model, (0.0, 0.0, 0.0), lr=0.005)
    for ours, theirs in zip(state(tuned_model), state(plain), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_rates() -> None:
    ended = network(optimizers.SGD(optimizers.schedules.CosineDecay(0.1, 2)))
    ended.optimizer.build(ended.trainable_variables)
    ended.optimizer.iterations.assign(5)
    with pytest.raises(UsageError, match="learning rate is 0"):
        tuned(ended, (0.5,))
    scaled = network(optimizers.LossScaleOptimizer(optimizers.Adam(0.0)))
    chosen = optimizers.SGD(0.0)
    several = network(MultiOptimizer(lambda variable: chosen))
    several.optimizer.build(several.trainable_variables)
    for model in (ended, scaled, several):
        _set_rate(model, 0.03, 1)
    saved = optimizers.SGD.from_config(ended.optimizer.get_config())
    saved.iterations.assign(1000)
    for optimizer in (saved, scaled.optimizer.inner_optimizer, chosen):
        assert float(optimizer.learning_rate) == pytest.approx(0.03)


def test_what_goes_wrong_is_said() -> None:
    with pytest.raises(UsageError, match="no epoch"):
        tuned(network("sgd"), ())
    with pytest.raises(RunFailed, match="not finite in epoch 1 of 2"):
        tuned(network("sgd"), (0.5, 0.5), lr=math.inf)

    class Willful(keras.Model):
        def train_step(self, data: Any) -> Any:
            kernel = self.layers[1].kernel
            kernel.assign_add(tf.ones_like(kernel))
            return {"loss": tf.reduce_sum(kernel)}

    inputs = keras.Input((6,))
    willful = Willful(inputs, layers.Dense(3)(inputs))
    willful.compile("sgd", "mse")
    with pytest.raises(RunFailed, match="1 weight did not stay at zero"):
        tuned(willful, (0.5,))


def test_a_model_that_is_not_compiled_gets_a_loss_that_fits(tmp_path: Path) -> None:
    model = network()
    np.savez(tmp_path / "d.npz", x=X, y=Y)
    data = training_data(model, Options(data=str(tmp_path / "d.npz")))
    assert "sparse_categorical_crossentropy" in data.notes[0].message
    assert tuned(model, (0.5,), data).epochs[0].loss is not None


def seen(data: TrainingData, epoch: int) -> np.ndarray:
    return np.concatenate([x.numpy() for x, _ in data.epoch(epoch)])


def test_epochs_of_a_file(tmp_path: Path) -> None:
    model = network("sgd")
    np.savez(tmp_path / "d.npz", x=X, y=Y)
    data = training_data(model, Options(data=str(tmp_path / "d.npz"), batch_size=8, seed=3))
    assert (data.examples, data.steps, len(list(data.epoch(0)))) == (20, 3, 3)
    first, second = seen(data, 0), seen(data, 1)
    np.testing.assert_array_equal(first, seen(data, 0))
    assert np.any(first != second)
    for order in (first, second):
        np.testing.assert_array_equal(np.sort(order, 0), np.sort(X, 0))
    for x, y in data.epoch(1):  # targets go with their samples
        places = [int(np.flatnonzero((row == X).all(1))[0]) for row in x.numpy()]
        np.testing.assert_array_equal(Y[places], y)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": X, "y": Y[:-1]}, "differ in their number"),
        ({"x": X[:, :4], "y": Y}, r"have the shape \(4,\), input .* takes \(6\)"),
        ({"x": X, "y": np.zeros((20, 7), "float32")}, "the loss of the first batch"),
        ({"x": X}, "has no array y"),
        ({"x": X * np.nan, "y": Y}, "NaN"),
    ],
)
def test_data_that_do_not_fit(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    np.savez(tmp_path / "d.npz", **arrays)
    with pytest.raises(InputError, match=message):
        training_data(network("sgd"), Options(data=str(tmp_path / "d.npz")))


def test_data_sets_of_functions(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = tf.data.Dataset.from_tensor_slices((X, Y)).batch(8)
    monkeypatch.setattr("tests.integration.test_finetune.pairs", lambda: pairs, raising=False)
    monkeypatch.setattr("tests.integration.test_finetune.endless", pairs.repeat, raising=False)
    model = network("sgd")
    assert training_data(model, Options(data="tests.integration.test_finetune:pairs")).steps == 3
    with pytest.raises(InputError, match="never ends"):
        training_data(model, Options(data="tests.integration.test_finetune:endless"))
    with pytest.raises(UsageError, match="random data"):
        training_data(model, Options())


def test_batch_statistics_are_those_of_all_samples() -> None:
    """Batches of 8, 8 and 4 examples, without Dropout, in a frozen layer too; everything else is left alone."""
    model = network("sgd")
    norm = model.layers[1]
    norm.trainable = False
    norm.moving_mean.assign(norm.moving_mean + 5)
    before = [each.numpy() for each in model.variables if "moving" not in each.path]
    data = from_arrays(model, X, Y, batch_size=8)
    assert recalibrate(model, data) == 1
    inner = np.maximum(X @ model.layers[0].kernel.numpy(), 0)
    np.testing.assert_allclose(norm.moving_mean.numpy(), inner.mean(0), rtol=1e-5)
    batches = [model.layers[0](x).numpy() for x, _ in data.epoch(0)]
    variance = sum(len(each) * each.var(0) for each in batches) / len(X)
    np.testing.assert_allclose(norm.moving_variance.numpy(), variance, rtol=1e-4)
    assert [norm.momentum, norm.trainable] == [0.99, False]
    assert "call" not in vars(norm)
    for ours, theirs in zip(before, [each for each in model.variables if "moving" not in each.path], strict=True):
        np.testing.assert_array_equal(ours, theirs.numpy())
