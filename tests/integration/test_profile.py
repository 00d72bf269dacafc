"""The whole pipeline on real TensorFlow: every table adds up, time finds its layer, the model is left alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import msgspec
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from bench.zoo import ZOO
from tests.integration.profiled import profiled
from tfopt.errors import InputError, RunFailed, UsageError
from tfopt.records.profile import LayerRow, ProfileRecord
from tfopt.report.runs import read_run

GOALS = {False: 0.94, True: 0.99}


def assert_adds_up(record: ProfileRecord) -> None:
    """What must hold of every record, whatever ran."""
    found = record.coverage
    assert sum(row.share for row in record.layers) == pytest.approx(1, abs=1e-3)
    assert sum(row.share for row in record.phases) == pytest.approx(1, abs=1e-3)
    assert sum(row.share for row in record.ops) + found.idle == pytest.approx(1, abs=1e-3)
    assert found.own + found.inferred + found.unattributed + found.idle == pytest.approx(1, abs=1e-3)
    for row in record.layers:
        parts = row.forward_ms + row.backward_ms + row.optimizer_ms
        assert parts <= row.total_ms + 1e-9
        assert row.self_ms <= row.total_ms + 1e-9
        assert 0 <= row.inferred_ms <= row.self_ms + 1e-9
    root = record.layers[0]
    below = sum(row.self_ms for row in record.layers if row.path == root.path or row.path.startswith(root.path + "/"))
    assert root.total_ms == pytest.approx(below)
    step = record.step
    assert 0 < step.low_ms <= step.median_ms <= step.high_ms <= step.p95_ms * 1.0001 or step.samples < 40
    assert step.examples_per_s == pytest.approx(record.run.batch_size / step.median_ms * 1000)
    assert msgspec.json.decode(msgspec.json.encode(record), type=ProfileRecord) == record


@pytest.mark.parametrize("xla", [False, True], ids=["graph", "xla"])
@pytest.mark.parametrize("name", ["mlp", "cnn", "transformer", "rnn", "nested_shared", "subclassed"])
def test_time_finds_its_layer(name: str, xla: bool) -> None:
    record = profiled(ZOO[name](), xla=xla, steps=5, batch_size=16)
    assert_adds_up(record)
    assert record.coverage.attributed >= GOALS[xla]
    assert record.run.xla is xla
    shares = {row.phase: row.share for row in record.phases}
    assert min(shares["forward"], shares["backward"], shares["optimizer"]) > 0
    assert shares["input"] == 0


def _fresh(name: str) -> Any:
    keras.utils.set_random_seed(1)
    return ZOO[name]()


def test_every_layer_with_weights_has_all_three_phases() -> None:
    record = profiled(_fresh("cnn"), steps=5)
    rows = {row.path: row for row in record.layers}
    for name in ("conv_0", "conv_1", "bn_1", "logits"):
        row = rows[f"cnn/{name}"]
        assert min(row.forward_ms, row.backward_ms, row.optimizer_ms) > 0, name
    assert rows["cnn/conv_2"].total_ms > rows["cnn/act_2"].total_ms


def test_an_expensive_layer_is_found() -> None:
    """A layer that does thirty times the work of its neighbours must be the table's first row."""
    inputs = keras.Input((64,))
    x = layers.Dense(64, name="small_1")(inputs)
    x = layers.Dense(2048, name="up")(x)
    x = layers.Dense(2048, name="huge")(x)
    model = keras.Model(inputs, layers.Dense(8, name="small_2")(x))
    for xla in (False, True):
        record = profiled(model, steps=5, batch_size=64, xla=xla)
        assert max(record.layers, key=lambda row: row.share).path.endswith("/huge")
        assert max(row.share for row in record.layers) > 0.6


def test_shared_and_nested_layers_are_counted_once() -> None:
    record = profiled(_fresh("nested_shared"), steps=5)
    calls = {row.path: row.calls for row in record.layers}
    assert calls["nested/shared"] == 2
    assert calls["nested/block"] == 2
    assert sum(path.endswith("/shared") for path in calls) == 1


def test_model_object_is_left_as_it_was() -> None:
    for precision in ("float32", "mixed_float16"):
        model = _fresh("cnn")
        x = np.random.default_rng(0).standard_normal((8, 32, 32, 3)).astype("float32")
        model.train_on_batch(x, np.arange(8))
        before = [np.copy(variable.numpy()) for variable in [*model.variables, *model.optimizer.variables]]
        optimizer, policies = model.optimizer, [layer.dtype_policy.name for layer in model.layers]
        prediction = model.predict_on_batch(x)
        profiled(model, steps=3, precision=precision, batch_size=8)
        after = [variable.numpy() for variable in [*model.variables, *model.optimizer.variables]]
        assert all((left == right).all() for left, right in zip(before, after, strict=True))
        assert model.optimizer is optimizer
        assert [layer.dtype_policy.name for layer in model.layers] == policies
        np.testing.assert_array_equal(model.predict_on_batch(x), prediction)
        assert np.isfinite(model.train_on_batch(x, np.arange(8)))


def test_uncompiled_object_stays_uncompiled_and_the_loss_is_said() -> None:
    inputs = keras.Input((8,))
    model = keras.Model(inputs, layers.Dense(3, activation="softmax")(inputs))
    record = profiled(model, steps=3)
    assert record.run.loss == "sparse_categorical_crossentropy"
    assert any(
        "the loss sparse_categorical_crossentropy, since its output is softmax" in note.message for note in record.notes
    )
    assert not model.compiled
    assert profiled(model, steps=3, loss="mse").run.loss == "mean_squared_error"


@pytest.mark.parametrize(
    ("activation", "loss"),
    [
        ("softmax", "sparse_categorical_crossentropy"),
        ("sigmoid", "binary_crossentropy"),
        (None, "mean_squared_error"),
        ("tanh", "mean_squared_error"),
    ],
)
def test_inferred_loss(activation: str | None, loss: str) -> None:
    inputs = keras.Input((8,))
    model = keras.Model(inputs, layers.Dense(3, activation=activation)(inputs))
    assert profiled(model, steps=2, trace_steps=1).run.loss == loss


def test_inference_has_only_a_forward_pass() -> None:
    record = profiled(_fresh("cnn"), mode="infer", steps=5)
    assert_adds_up(record)
    shares = {row.phase: row.share for row in record.phases}
    assert shares["backward"] == shares["optimizer"] == shares["loss"] == 0
    assert record.run.loss is None
    assert record.step.last_loss is None


def test_eager_says_what_it_cannot_tell() -> None:
    record = profiled(_fresh("cnn"), eager=True, steps=3)
    assert_adds_up(record)
    rows = {row.path: row for row in record.layers}
    assert rows["cnn/conv_1"].forward_ms > 0
    assert rows["cnn/conv_1"].backward_ms == 0
    assert rows["(backward)"].backward_ms > 0
    assert any("backward pass is not split by layer" in note.message for note in record.notes)


def _rows(record: ProfileRecord) -> dict[str, LayerRow]:
    """Rows by the last part of their path."""
    return {row.path.rpartition("/")[2]: row for row in record.layers}


def test_a_wrapped_layer_has_its_own_time() -> None:
    inputs = keras.Input((4, 32, 32, 3))
    x = layers.TimeDistributed(layers.Conv2D(16, 3, name="inner"), name="wrapper")(inputs)
    model = keras.Model(inputs, layers.Bidirectional(layers.LSTM(8, name="cells"))(layers.Reshape((4, -1))(x)))
    rows = _rows(profiled(model, steps=3, batch_size=4))
    assert min(rows["inner"].forward_ms, rows["inner"].backward_ms) > 0.15 * rows["inner"].total_ms
    assert rows["inner"].total_ms > rows["wrapper"].self_ms
    assert rows["forward_cells"].total_ms > 0
    assert rows["backward_cells"].total_ms > 0


@pytest.mark.parametrize("mode", ["infer", "train"])
@pytest.mark.parametrize("order", ["heavy first", "heavy last"])
def test_fused_addition_is_charged_to_the_convolution_that_was_fused(order: str, mode: str) -> None:
    """oneDNN fuses Conv2D + BiasAdd + Add + ReLU: one of the two branches of the Add is inside the kernel."""
    inputs = keras.Input((48, 48, 16))
    heavy = layers.Conv2D(32, 5, padding="same", name="heavy")(inputs)
    light = layers.Conv2D(32, 1, padding="same", name="light")(inputs)
    branches = [heavy, light] if order == "heavy first" else [light, heavy]
    model = keras.Model(inputs, layers.ReLU(name="act")(layers.Add(name="add")(branches)))
    rows = _rows(profiled(model, mode=mode, steps=5, trace_steps=20, batch_size=8))
    assert rows["heavy"].forward_ms > 3 * rows["light"].forward_ms
    assert rows["heavy"].forward_ms > 3 * rows["act"].forward_ms


def test_the_same_holds_in_an_exported_model(tmp_path: Path) -> None:
    inputs = keras.Input((48, 48, 16))
    x = layers.BatchNormalization(name="norm")(layers.Conv2D(64, 5, name="conv")(inputs))
    keras.Model(inputs, layers.ReLU(name="act")(x)).export(tmp_path / "saved", verbose=False)
    record = profiled(str(tmp_path / "saved"), mode="infer", steps=5, trace_steps=20, batch_size=8)
    time = {row.path.rpartition("/")[2]: row.self_ms for row in record.layers}
    spent = {word: sum(ms for name, ms in time.items() if word in name) for word in ("conv", "norm", "act")}
    assert spent["conv"] > 3 * (spent["norm"] + spent["act"])


def test_separate_activation_does_not_get_the_convolutions_time() -> None:
    """oneDNN fuses Conv2D + BiasAdd + ReLU into one kernel that is named after the ReLU layer."""
    inputs = keras.Input((48, 48, 16))
    x = layers.Conv2D(64, 5, name="conv")(inputs)
    model = keras.Model(inputs, layers.ReLU(name="act")(x))
    record = profiled(model, mode="infer", steps=5, trace_steps=20)
    rows = _rows(record)
    assert rows["conv"].self_ms > 20 * rows["act"].self_ms


def test_run_folder_holds_the_record_and_the_trace(tmp_path: Path) -> None:
    record = profiled(_fresh("mlp"), steps=3, run_dir=tmp_path / "runs")
    (folder,) = (tmp_path / "runs").iterdir()
    assert record.trace.run_dir == str(folder)
    assert record.trace.file is not None
    assert (folder / record.trace.file).is_file()
    assert read_run(folder).record == record


def test_a_failed_run_leaves_nothing_behind(tmp_path: Path) -> None:
    def broken(y_true: Any, y_pred: Any) -> Any:
        raise ZeroDivisionError("no such loss")

    model = _fresh("mlp")
    model.compile("adam", broken)
    with pytest.raises(RunFailed, match="no such loss"):
        profiled(model, steps=3, run_dir=tmp_path / "runs")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras, while saving
def test_a_file_whose_step_cannot_run_is_unreadable_input(tmp_path: Path) -> None:
    """Unless an option has a part in it: then the run failed, and the option may be what is wrong."""
    model = _fresh("mlp")
    model.compile(keras.optimizers.SGD(0.1, clipvalue="much"), keras.losses.MeanSquaredError())
    path = tmp_path / "m.keras"
    model.save(path)
    with pytest.raises(InputError, match=r"m\.keras loads but does not run: the first step failed"):
        profiled(path, steps=3)
    with pytest.raises(RunFailed):
        profiled(path, steps=3, eager=True)


def test_a_model_too_large_for_one_example_is_unreadable_input() -> None:
    inputs = keras.Input((4, 4, 3))
    grown = layers.Conv2D(2, 3)(layers.UpSampling2D(10**6)(inputs))
    with pytest.raises(InputError, match="even one example cannot run: the output of up_sampling2d"):
        profiled(keras.Model(inputs, grown))
    inputs = keras.Input((1100, 1000, 1000), dtype="uint8")
    with pytest.raises(InputError, match=r"would hold 1\.1e\+09 numbers"):
        profiled(keras.Model(inputs, layers.Dense(1)(inputs[:, 0, 0])), batch_size=1)


def test_missing_device_lists_those_that_are_there() -> None:
    with pytest.raises(InputError, match="there is no gpu:7") as caught:
        profiled(_fresh("mlp"), device="gpu:7")
    assert "cpu:0" in caught.value.hint
    assert caught.value.hint.endswith("tfopt doctor tells why")
    with pytest.raises(UsageError, match="unknown device"):
        profiled(_fresh("mlp"), device="abacus")


def test_model_without_trainable_weights_says_so() -> None:
    inputs = keras.Input((8,))
    model = keras.Model(inputs, layers.ReLU()(inputs))
    with pytest.raises(InputError, match="no trainable weights"):
        profiled(model)
    assert profiled(model, mode="infer", steps=2).model.params == 0


@pytest.mark.parametrize("number", [0, -3])
def test_numbers_must_be_positive(number: int) -> None:
    with pytest.raises(UsageError, match="batch_size must be at least 1"):
        profiled("app:MobileNetV2", batch_size=number)


def test_saved_model_is_profiled_by_scope(tmp_path: Path) -> None:
    inputs = keras.Input((16, 16, 3), name="image")
    x = layers.Conv2D(32, 3, name="conv")(inputs)
    keras.Model(inputs, layers.Dense(4, name="head")(layers.Flatten()(x)), name="net").export(
        tmp_path / "saved", verbose=False
    )
    for xla in (False, True):
        record = profiled(str(tmp_path / "saved"), mode="infer", steps=5, xla=xla)
        assert_adds_up(record)
        assert record.coverage.attributed > 0.9
        assert any("conv" in row.path and row.share > 0 for row in record.layers)
    with pytest.raises(InputError, match="one opaque layer"):
        profiled(str(tmp_path / "saved"))


def test_threads_are_counted_as_tensorflow_starts_them() -> None:
    """TF_NUM_INTRAOP_THREADS counts where nothing was set. A pool's threads bear the process's name."""
    code = """
import os
from pathlib import Path
from tfopt.workload.runtime import import_tensorflow, set_threads, threads_used
def threads():
    return [file.read_text() for file in Path("/proc/self/task").glob("*/comm")].count(own)
own = Path("/proc/self/comm").read_text()
tf = import_tensorflow()
set_threads(None)
before = threads()
tf.ones((300, 300)) @ tf.ones((300, 300))
print(threads() - before, threads_used())
"""
    environment = {**os.environ, "TF_NUM_INTRAOP_THREADS": "7"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["7", "7"]


def test_threads_of_a_running_tensorflow_cannot_change() -> None:
    tf.ones(1) + 1
    with pytest.raises(UsageError, match="already runs with"):
        profiled(_fresh("mlp"), threads=1 if tf.config.threading.get_intra_op_parallelism_threads() != 1 else 2)
