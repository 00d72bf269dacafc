"""What variants compute beside the float32 graph: nothing where nothing differs, and what was planted where it was."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import msgspec
import numpy as np
import pytest
import tensorflow as tf

from tfopt.errors import InputError
from tfopt.model.source import identify
from tfopt.profiling.variants import parse_variant
from tfopt.records.comparison import Drift
from tfopt.workload.drift import still as still_module
from tfopt.workload.drift.comparing import Comparing
from tfopt.workload.drift.messages import Drifted, DriftTask, Known
from tfopt.workload.drift.samples import evaluate, samples_of
from tfopt.workload.drift.still import still
from tfopt.workload.drift.subject import same_batch, subject
from tfopt.workload.duel import Contestant
from tfopt.workload.options import Options

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras, while saving


def contestant(model: Path | str, name: str, *, label: str = "", **options: Any) -> Contestant:
    source = identify(str(model))
    base = Options(**{"batch_size": 8, **options})
    return Contestant(label or name, str(model), parse_variant(name).options(base, source))


def drifts(model: Path | str, names: Sequence[str], *, samples: int = 100, **options: Any) -> dict[str, Drift]:
    """The drift of each variant, and under `graph` that of the reference run twice."""
    said: list[Any] = []
    arms = tuple(contestant(model, name, **options) for name in names)
    task = DriftTask(contestant(model, "graph", **options), arms, samples, 60.0)
    comparing = Comparing.of(task, said.append)
    for arm in arms:
        comparing.compare(arm)
    assert any(isinstance(message, Known) and message.facts.facts for message in said)
    return {message.label: message.drift for message in said if isinstance(message, Drifted)}


@pytest.fixture(scope="module")
def random_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier with every kind of randomness, and BatchNormalization, which must stay in training mode."""
    keras.utils.set_random_seed(1)
    inputs = keras.Input((6, 5))
    x = keras.layers.GaussianNoise(0.5)(inputs)
    x = keras.layers.LSTM(4, dropout=0.4, return_sequences=True, name="lstm")(x)
    x = keras.layers.SpatialDropout1D(0.3)(x)
    x = keras.layers.Flatten()(x)
    x = keras.layers.BatchNormalization(name="norm")(keras.layers.Dense(16, name="wide")(x))
    x = keras.layers.Dropout(0.5)(x)
    model = keras.Model(inputs, keras.layers.Dense(3, activation="softmax", name="classes")(x), name="random")
    model.compile("adam", "sparse_categorical_crossentropy")
    path = tmp_path_factory.mktemp("models") / "random.keras"
    model.save(path)
    return path


@pytest.fixture(scope="module")
def of_random_model(random_model: Path) -> dict[str, Drift]:
    return drifts(random_model, ["float32", "xla", "eager", "mixed_bfloat16", "mixed_float16"])


@pytest.mark.parametrize("name", ["graph", "float32"])
def test_the_float32_graph_has_no_drift_from_itself(of_random_model: dict[str, Drift], name: str) -> None:
    drift = of_random_model[name]
    assert drift.gradient is not None
    assert [(output.max_abs, output.cosine, output.agreement) for output in drift.outputs] == [(0.0, 1.0, 1.0)]
    assert (drift.gradient.relative_l2, drift.gradient.cosine, drift.gradient.underflow) == (0.0, 1.0, 0)
    assert drift.loss == drift.reference_loss
    assert drift.random_ops == ()
    assert {row.layer.partition("/")[2]: row.type for row in drift.layers} == {
        "lstm/lstm_cell": "LSTMCell",
        "wide": "Dense",
        "norm": "BatchNormalization",
        "classes": "Dense",
    }


@pytest.mark.parametrize("name", ["xla", "eager"])
def test_another_program_of_the_same_numbers_drifts_by_rounding(of_random_model: dict[str, Drift], name: str) -> None:
    drift = of_random_model[name]
    assert drift.gradient is not None
    assert drift.gradient.relative_l2 is not None
    assert drift.gradient.relative_l2 < 1e-4
    assert drift.outputs[0].max_abs is not None
    assert drift.outputs[0].max_abs < 1e-5


def test_with_random_layers_on_xla_would_look_broken(random_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Why they are switched off: the drift would be as large as the gradients."""
    monkeypatch.setattr("tfopt.workload.drift.probe.still", lambda model: contextlib.nullcontext())
    drift = drifts(random_model, ["xla"])["xla"]
    assert drift.gradient is not None
    assert drift.gradient.relative_l2 is not None
    assert drift.gradient.relative_l2 > 0.1
    assert drift.random_ops  # and it is said


def test_half_precision_drifts_by_its_rounding(of_random_model: dict[str, Drift]) -> None:
    brain, half = of_random_model["mixed_bfloat16"], of_random_model["mixed_float16"]
    assert brain.gradient is not None
    assert half.gradient is not None
    assert 1e-4 < (half.gradient.relative_l2 or 0) < (brain.gradient.relative_l2 or 0) < 0.3
    assert (brain.steps, brain.skipped_steps) == (5, None)  # bfloat16 has no loss scaling
    assert half.skipped_steps is not None


def test_random_layers_are_as_before_afterwards(random_model: Path) -> None:
    model = keras.saving.load_model(random_model, compile=False)
    x = tf.ones((4, 6, 5))
    with still(model):
        quiet = [model(x, training=True).numpy() for _ in range(2)]
    assert np.array_equal(*quiet)
    assert not np.array_equal(model(x, training=True), model(x, training=True))
    assert not [layer for layer in model._flatten_layers() if "call" in vars(layer)]


def test_batch_normalization_stays_in_training_mode(random_model: Path) -> None:
    model = keras.saving.load_model(random_model, compile=False)
    x = tf.constant(np.random.default_rng(0).standard_normal((4, 6, 5)) * 3, "float32")
    with still(model):
        training = model(x, training=True).numpy()
    assert not np.allclose(training, model(x, training=False), atol=1e-3)


def test_a_probe_leaves_all_variables_alone(random_model: Path) -> None:
    found = subject(contestant(random_model, "mixed_float16"))
    model = found.workload.model
    variables = (*model.variables, *model.optimizer.variables)
    before = [variable.numpy() for variable in variables]
    found.probe()(found.workload.batch.arguments)
    changed = [
        variable.path
        for variable, value in zip(variables, before, strict=True)
        if not np.array_equal(variable.numpy(), value)
    ]
    assert changed == []


def test_private_names_of_keras_exist() -> None:
    layer = keras.layers.Dropout(0.5)
    assert still_module._draws(layer)
    assert layer._seed_generators
    assert layer._call_has_training_arg
    assert keras.Sequential([layer])._flatten_layers


def test_overflow_skips_steps_and_is_counted(tmp_path: Path) -> None:
    inputs = keras.Input((64,))
    model = keras.Model(inputs, keras.layers.Dense(4, kernel_initializer=keras.initializers.Constant(30.0))(inputs))
    model.compile("sgd", "mse")
    model.save(tmp_path / "loud.keras")
    drift = drifts(tmp_path / "loud.keras", ["mixed_float16"])["mixed_float16"]
    assert drift.skipped_steps is not None
    assert 0 < drift.skipped_steps <= drift.steps == 5
    assert drift.loss_scale < 32768
    assert drift.gradient is not None
    assert drift.gradient.nonfinite == 0  # at the scale that training comes down to
    assert (drift.gradient.relative_l2 or 1) < 0.01


def test_underflow_is_counted(tmp_path: Path) -> None:
    """Gradients of 1e-9 vanish in float16 without loss scaling, and not in bfloat16."""
    inputs = keras.Input((8,))
    x = keras.layers.Dense(16, activation="tanh", name="first")(inputs)
    outputs = keras.layers.Dense(1, kernel_initializer=keras.initializers.Constant(1e-8))(x)
    model = keras.Model(inputs, outputs)
    model.compile("sgd", "mse")
    model.save(tmp_path / "quiet.keras")
    found = drifts(tmp_path / "quiet.keras", ["float16", "bfloat16"])
    lost = {name: {row.layer: row.underflow for row in drift.layers} for name, drift in found.items()}
    first = next(layer for layer in lost["float16"] if layer.endswith("first"))
    assert lost["float16"][first] > 100
    assert lost["bfloat16"][first] == 0


def _twins(folder: Path, change: float) -> tuple[str, str]:
    keras.utils.set_random_seed(2)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="only")], name="twin")
    model.compile("sgd", "mse")
    model.save(folder / "one.keras")
    kernel = model.layers[0].kernel
    kernel.assign(kernel + change * np.eye(4, 3, dtype="float32"))
    model.save(folder / "other.keras")
    return str(folder / "one.keras"), str(folder / "other.keras")


@pytest.mark.parametrize("change", [0.0, 0.25])
def test_a_planted_change_of_a_weight_shows(tmp_path: Path, change: float) -> None:
    said: list[Any] = []
    one, other = _twins(tmp_path, change)
    comparing = Comparing.of(DriftTask(contestant(one, "graph"), (), 0, 1.0), said.append)
    comparing.compare(contestant(other, "graph", label="other"))
    drift = said[-1].drift
    batch = comparing.reference.workload.batch.x.numpy()
    assert drift.weights == ("different" if change else "same")
    assert drift.outputs[0].max_abs == pytest.approx(change * np.abs(batch[:, :3]).max(), rel=1e-4)
    assert (drift.gradient is None) == bool(change)


def test_models_of_other_inputs_are_not_compared(tmp_path: Path, random_model: Path) -> None:
    comparing = Comparing.of(DriftTask(contestant(random_model, "graph"), (), 0, 1.0), lambda message: None)
    with pytest.raises(InputError, match="takes other inputs than"):
        comparing.compare(contestant(_twins(tmp_path, 0.0)[0], "graph", label="other"))


def test_the_metric_is_paired_over_the_user_s_samples(
    random_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(5)
    x = rng.standard_normal((50, 6, 5)).astype("float32")
    model = keras.saving.load_model(random_model, compile=False)
    predicted = model.predict(x, verbose=0).argmax(-1)
    y = np.where(np.arange(50) < 40, predicted, (predicted + 1) % 3)
    np.savez(tmp_path / "samples.npz", x=x, y=y)
    options = {"data": str(tmp_path / "samples.npz"), "batch_size": 10}
    found = {row.name: row for row in drifts(random_model, ["xla"], **options)["xla"].metrics}
    accuracy, loss = found["accuracy"], found["sparse_categorical_crossentropy"]
    assert (accuracy.samples, accuracy.reference, accuracy.variant, accuracy.difference) == (50, 0.8, 0.8, 0.0)
    assert accuracy.low is not None
    assert accuracy.low < 0 < (accuracy.high or 0)  # 50 samples do not show that nothing ever differs
    by_hand = keras.losses.sparse_categorical_crossentropy(y, model.predict(x, verbose=0))
    assert loss.reference == pytest.approx(float(np.mean(by_hand)), rel=1e-5)
    assert abs(loss.difference) < 1e-6
    fewer = drifts(random_model, ["xla"], samples=25, mode="infer", **options)["xla"].metrics
    assert {row.samples for row in fewer} == {25}  # the last batch is smaller


def test_a_batch_with_nan_in_it_is_itself() -> None:
    one, other = tf.constant([1.0, np.nan]), tf.constant([np.nan, 1.0])
    assert same_batch({"x": one}, {"x": tf.identity(one)})
    assert not same_batch({"x": one}, {"x": other})


@pytest.mark.parametrize(("fixed", "measured"), [(None, 10), (4, 8)])
def test_the_last_batch_may_be_smaller_but_not_where_the_model_s_own_is_fixed(
    fixed: int | None, measured: int, tmp_path: Path
) -> None:
    model = keras.Sequential([keras.Input(batch_shape=(fixed, 4)), keras.layers.Dense(3, "softmax")])
    np.savez(tmp_path / "s.npz", x=np.ones((10, 4), "float32"), y=np.zeros(10, int))
    samples = samples_of(model, Options("infer", data=str(tmp_path / "s.npz")), 4, 100)
    found = evaluate(model, lambda x, *others: model(x), samples, math.inf)  # type: ignore[arg-type]
    assert {len(values) for _, values in found.values()} == {measured}


def test_data_without_targets_has_no_samples(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "softmax")])
    np.savez(tmp_path / "s.npz", x=np.ones((10, 4), "float32"))
    assert samples_of(model, Options("infer", data=str(tmp_path / "s.npz")), 4, 100) == ()


def test_metrics_of_two_models_whose_outputs_have_other_names(tmp_path: Path) -> None:
    """One of them computes NaN: the other rows stand, and nothing that is NaN counts as right."""
    for name, constant in {"one": 0.5, "other": np.nan}.items():
        inputs = keras.Input((4,))
        kernel = keras.initializers.Constant(constant)
        model = keras.Model(inputs, keras.layers.Dense(3, "softmax", kernel_initializer=kernel, name=name)(inputs))
        model.compile("sgd", "sparse_categorical_crossentropy")
        model.save(tmp_path / f"{name}.keras")
    np.savez(tmp_path / "s.npz", x=np.ones((16, 4), "float32"), y=np.zeros(16, int))
    one, other = (
        contestant(tmp_path / f"{name}.keras", "graph", label=name, data=str(tmp_path / "s.npz"))
        for name in ("one", "other")
    )
    said: list[Any] = []
    Comparing.of(DriftTask(one, (), 100, 60.0), said.append).compare(other)
    drift = msgspec.json.decode(msgspec.json.encode(said[-1].drift), type=Drift)
    accuracy, loss = drift.metrics
    assert (accuracy.output, accuracy.reference, accuracy.variant) == ("one", 1.0, 0.0)
    assert (loss.output, loss.variant, loss.difference, loss.nonfinite) == ("one", None, None, 16)
    assert (drift.outputs[0].agreement, drift.outputs[0].nonfinite) == (0.0, 24)


def test_a_data_set_is_seen_once_not_over_and_over(
    random_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "drift_pipeline.py").write_text(
        "import tensorflow as tf\n"
        "def batches():\n"
        "    data = tf.data.Dataset.from_tensor_slices((tf.random.normal((12, 6, 5)), tf.zeros(12, tf.int32)))\n"
        "    return data.shuffle(12).batch(4)\n"
    )
    monkeypatch.chdir(tmp_path)
    drift = drifts(random_model, ["float32"], data="drift_pipeline:batches", batch_size=None)["float32"]
    assert {(row.samples, row.difference) for row in drift.metrics} == {(12, 0.0)}  # and both saw the same ones
    assert drift.batch_size == 4


def test_a_metric_that_cannot_be_computed_does_not_cost_the_rest(random_model: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    np.savez(tmp_path / "short.npz", x=rng.standard_normal((16, 6, 5)).astype("float32"), y=np.zeros((16, 7)))
    options = {"data": str(tmp_path / "short.npz"), "mode": "infer"}
    found = drifts(random_model, ["float32"], **options)
    assert "no metric is compared" in found["graph"].notes[0].message
    assert (found["float32"].metrics, found["float32"].outputs[0].max_abs) == ((), 0.0)


def test_logits_of_a_real_model_are_not_taken_for_probabilities(real_models: Path) -> None:
    drift = drifts(real_models / "sudoku_cnn_logits.keras", ["mixed_bfloat16"])["mixed_bfloat16"]
    assert drift.gradient is not None
    assert drift.outputs[0].agreement is not None
    assert 1e-4 < (drift.outputs[0].max_rel or 0) < 0.1
    assert drift.gradient.nonfinite == 0
