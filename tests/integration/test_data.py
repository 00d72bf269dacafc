"""The user's own data: .npz files and tf.data pipelines, and what is wrong with them."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from tests.integration.profiled import profiled
from tfopt.errors import InputError, TfoptError, UsageError
from tfopt.model.inputs import InputSpec
from tfopt.workload.batch import resolve_shapes
from tfopt.workload.batching import batch_for
from tfopt.workload.fitting import check_shapes, known_specs
from tfopt.workload.options import Options


def model(features: int = 8) -> Any:
    inputs = keras.Input((features,), name="features")
    net = keras.Model(inputs, layers.Dense(3)(inputs))
    net.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return net


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A module of data sets in the working directory."""
    (tmp_path / "my_data.py").write_text(
        """
import numpy as np
import tensorflow as tf

def _pairs(size):
    rng = np.random.default_rng(0)
    return rng.random((size, 8)).astype("float32"), rng.integers(0, 3, size)

def ragged():
    rows = tf.ragged.constant([[1], [2, 3], [4, 5, 6]] * 8)
    return tf.data.Dataset.from_tensor_slices((rows, tf.zeros((24, 1)))).batch(4)

def hollow():
    return tf.data.Dataset.from_tensor_slices((tf.zeros((8, 0)), tf.zeros(8))).batch(4)

def good():
    return tf.data.Dataset.from_tensor_slices(_pairs(64)).batch(16)

def ragged_end():
    return tf.data.Dataset.from_tensor_slices(_pairs(40)).batch(16)

def unbatched():
    return tf.data.Dataset.from_tensor_slices(([1.0, 2.0], [0, 1]))

def empty():
    return good().take(0)

def without_targets():
    return tf.data.Dataset.from_tensor_slices(_pairs(64)[0]).batch(16)

def weighted():
    x, y = _pairs(64)
    return tf.data.Dataset.from_tensor_slices((x, y, np.ones(64, "float32"))).batch(16)

def misfit():
    return tf.data.Dataset.from_tensor_slices((np.ones((8, 7), "float32"), np.zeros(8))).batch(4)

def a_list():
    return [1]

def broken():
    raise OSError("disk on fire")
"""
    )
    monkeypatch.chdir(tmp_path)
    yield "my_data"
    sys.modules.pop("my_data", None)
    sys.path[:] = [path for path in sys.path if path != str(tmp_path)]


def test_pipeline(module: str) -> None:
    record = profiled(model(), data=f"{module}:good", steps=5)
    assert record.run.batch_size == 16
    assert record.run.data == f"{module}:good"
    assert record.run.inputs[0].values == f"from {module}:good"
    assert record.step.retraces == 0


def test_sample_weights_and_inference(module: str) -> None:
    assert profiled(model(), data=f"{module}:weighted", steps=2, trace_steps=1).step.retraces == 0
    record = profiled(model(), data=f"{module}:without_targets", mode="infer", steps=2, trace_steps=1)
    assert record.run.mode == "infer"


def test_last_partial_batch_is_a_retrace(module: str) -> None:
    record = profiled(model(), data=f"{module}:ragged_end", steps=5)
    assert record.step.retraces == 1
    cause = record.step.retrace_causes[0]
    assert (cause.argument, cause.before, cause.after) == ("x", "float32(16, 8)", "float32(8, 8)")
    told = next(advice for advice in record.advice if advice.id == "retracing")
    assert told.severity == "low"
    assert "x changed from float32(16, 8) to float32(8, 8)" in told.message


@pytest.mark.parametrize(
    ("function", "kind", "words"),
    [
        ("unbatched", InputError, "is not batched"),
        ("empty", InputError, "is empty"),
        ("without_targets", InputError, "has no targets"),
        ("misfit", InputError, r"shape \(7,\), input features takes \(8\)"),
        ("a_list", InputError, "returned list"),
        ("broken", InputError, "disk on fire"),
        ("absent", UsageError, "cannot find my_data:absent"),
    ],
)
def test_unusable_pipelines(module: str, function: str, kind: type[TfoptError], words: str) -> None:
    with pytest.raises(kind, match=words):
        profiled(model(), data=f"{module}:{function}")


def test_npz(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    path = tmp_path / "data.npz"
    np.savez(path, x=rng.random((20, 8)), y=rng.integers(0, 3, 20), sample_weight=rng.random(20))
    record = profiled(model(), data=str(path), steps=2, trace_steps=1)
    assert record.run.batch_size == 20
    assert record.run.inputs[0].shape == (20, 8)
    assert profiled(model(), data=str(path), batch_size=4, steps=2, trace_steps=1).run.batch_size == 4
    np.savez(path, features=rng.random((20, 8)), y=rng.integers(0, 3, 20), class_names=np.array(["a", "b", "c"]))
    assert profiled(model(), data=str(path), steps=2, trace_steps=1).run.batch_size == 20


def test_npz_for_a_model_of_one_batch_size(tmp_path: Path) -> None:
    """What it was built for, rather than what is usual."""
    np.savez(tmp_path / "data.npz", x=np.ones((20, 8)))
    net = keras.Sequential([keras.Input(batch_shape=(5, 8)), layers.Dense(3)])
    assert batch_for(net, Options("infer", data=str(tmp_path / "data.npz")), None).size == 5


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"z": np.ones((4, 8))}, "no array for features"),
        ({"x": np.ones((4, 8))}, "no array y"),
        ({"x": np.ones((0, 8)), "y": np.ones(0)}, "no examples"),
        ({"x": np.array([None]), "y": np.ones(1)}, "cannot read the data"),
        ({"x": np.float32(1), "y": np.ones(1)}, "no batch dimension"),
        ({"x": np.ones((4, 7)), "y": np.ones(4)}, r"shape \(7,\), input features takes \(8\)"),
    ],
)
def test_unusable_npz(tmp_path: Path, arrays: dict[str, Any], words: str) -> None:
    np.savez(tmp_path / "data.npz", **arrays)
    with pytest.raises(InputError, match=words):
        profiled(model(), data=str(tmp_path / "data.npz"))


@pytest.mark.parametrize("shape", [(4, 8), (4, 8, 1), (4, 8, 2), (4,), (4, 1), (4, 7), (4, 1, 1), (4, 1, 8)])
@pytest.mark.parametrize("features", [8, 1])
def test_shapes_that_keras_takes_are_taken(features: int, shape: tuple[int, ...]) -> None:
    net, examples = model(features), np.zeros(shape, "float32")
    try:
        net(examples)
    except ValueError:
        with pytest.raises(InputError, match="input features takes"):
            check_shapes(known_specs(net), [examples], "data.npz")
    else:
        check_shapes(known_specs(net), [examples], "data.npz")


def test_npz_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "data.npz").write_bytes(b"PK nonsense")
    with pytest.raises(InputError, match="cannot read the data"):
        profiled(model(), data=str(tmp_path / "data.npz"))


def test_data_that_do_not_exist_are_answered_with_the_call_that_makes_them() -> None:
    with pytest.raises(InputError, match=r"the data absent\.npz does not exist") as caught:
        profiled(model(), data="absent.npz")
    assert caught.value.hint == "check the path, or make it: numpy.savez('absent.npz', x=…, y=…)"
    inputs = [keras.Input((2,), name=name) for name in ("left", "right")]
    two = keras.Model(inputs, layers.Concatenate()(inputs))
    with pytest.raises(InputError) as caught:
        profiled(two, data="absent.npz", mode="infer")
    assert caught.value.hint.endswith("numpy.savez('absent.npz', left=…, right=…)")


def test_free_dimensions_get_a_stated_default() -> None:
    inputs = keras.Input((None, 4), name="sequence")
    net = keras.Model(inputs, layers.Dense(1)(layers.LSTM(4)(inputs)))
    record = profiled(net, steps=2, trace_steps=1)
    assert record.run.inputs[0].shape == (32, 32, 4)
    assert record.run.inputs[0].values == "standard normal, free length 32 (default)"
    (note,) = (note for note in record.notes if "sequence (?, 4) → (32, 4)" in note.message)
    assert "the result is for that length" in note.message
    assert "--input-shape sequence=32,4" in note.hint
    chosen = profiled(net, steps=2, trace_steps=1, input_shape=("sequence=5,4",))
    assert (chosen.run.inputs[0].shape, chosen.run.inputs[0].values) == ((32, 5, 4), "standard normal")
    assert not any("default length" in note.message for note in chosen.notes)
    for wrong in ("five,4", "0,4"):
        with pytest.raises(UsageError):
            profiled(net, input_shape=(wrong,))


@pytest.mark.parametrize(
    ("shapes", "given", "fitting"),
    [
        ([(None, 4)], "5,5", "--input-shape a=5,4"),
        ([(None, 4)], "5", "--input-shape a=32,4"),
        ([(None, 4)], "other=5,4", "--input-shape a=32,4"),
        ([(None, 4), (None, None, 3), (2,)], "5,4", "--input-shape a=32,4 --input-shape b=64,64,3"),
        ([(8,)], "5", "its shape is fixed: leave --input-shape out"),
        ([(8,)], "other=8", "its shape is fixed: leave --input-shape out"),
    ],
)
def test_a_shape_that_does_not_fit_is_answered_with_one_that_does(
    shapes: list[tuple[int | None, ...]], given: str, fitting: str
) -> None:
    specs = [InputSpec(name, (None, *shape), "float32") for name, shape in zip("abc", shapes, strict=False)]
    with pytest.raises(UsageError) as caught:
        resolve_shapes(specs, 2, (given,))
    assert fitting in caught.value.hint
    options = re.findall(r"--input-shape (\S+=\S+)", caught.value.hint)
    assert resolve_shapes(specs, 2, options)[1] == {}


def test_seed_makes_the_batch() -> None:
    first, other = (profiled(_fresh(), seed=seed, steps=1, trace_steps=1) for seed in (0, 1))
    assert first.step.last_loss != other.step.last_loss


def _fresh() -> Any:
    keras.utils.set_random_seed(5)
    return model()


def test_sources_of_another_form() -> None:
    with pytest.raises(UsageError, match="unknown data source"):
        profiled(model(), data="somewhere")


def test_a_batch_too_large_for_any_machine_is_refused() -> None:
    net = keras.Sequential([keras.Input((None, 4)), layers.Dense(1)])
    with pytest.raises(UsageError, match=r"would hold 1\.3e\+11 numbers"):
        profiled(net, input_shape=("1000000000,4",))
    with pytest.raises(UsageError, match="cannot run: the output of"):
        profiled(model(), batch_size=10**10)


def test_ragged_batches_are_described_by_what_would_hold_them(module: str) -> None:
    inputs = keras.Input((None,), ragged=True, dtype="int32")
    x = layers.GlobalAveragePooling1D()(layers.Embedding(7, 3)(inputs))
    net = keras.Model(inputs, layers.Dense(1)(x))
    net.compile("sgd", "mse")
    record = profiled(net, data=f"{module}:ragged", steps=2)
    assert record.run.batch_size == 4
    assert record.run.inputs[0].shape == (4, 3)


def test_batches_without_values_are_refused(module: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no values"):
        profiled(model(), data=f"{module}:hollow", steps=2)
    np.savez(tmp_path / "hollow.npz", x=np.zeros((8, 0)), y=np.zeros(8))
    with pytest.raises(InputError, match="or empty ones"):
        profiled(model(), data=str(tmp_path / "hollow.npz"), steps=2)
