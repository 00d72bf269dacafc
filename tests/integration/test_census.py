"""The facts of real models, against counts made by other means; and models that end the worker process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from tfopt.checks.facts import facts_of
from tfopt.checks.failure import Failure
from tfopt.model.load import given
from tfopt.profiling.census.finding import FINDERS, model_facts
from tfopt.profiling.census.steps import outside_xla, peak_bytes, retraces
from tfopt.profiling.census.subject import Subject
from tfopt.profiling.inspect import inspect
from tfopt.records.fact_kinds import COSTLY, FACTS, facts_for
from tfopt.records.facts import ModelFacts
from tfopt.workload.device import place
from tfopt.workload.graph import StepGraph
from tfopt.workload.options import Options
from tfopt.workload.peak.estimate import estimate
from tfopt.workload.prepared import prepared
from tfopt.workload.workers.contestant import Contestant

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras, while saving

OPTIONS = Options(batch_size=4)

DEADLY = """
import os, keras
@keras.saving.register_keras_serializable("deadly")
class Deadly(keras.layers.Layer):
    def call(self, inputs):
        if os.environ.get("DEADLY"):
            os.kill(os.getpid(), 9)
        return inputs
"""


class Callback(layers.Layer):
    def call(self, inputs: Any) -> Any:
        result = tf.numpy_function(lambda values: 2 * values, [inputs], inputs.dtype)
        result.set_shape(inputs.shape)
        return result


class Worded(layers.Layer):
    """Strings between numbers: XLA has a kernel for `Equal`, and none for strings."""

    def call(self, inputs: Any) -> Any:
        return inputs * tf.cast(tf.equal(tf.strings.as_string(inputs), "0"), inputs.dtype)


def _small() -> Any:
    model = keras.Sequential(
        [
            keras.Input((6, 6, 3), name="image"),
            layers.Conv2D(4, 3, name="conv"),
            layers.BatchNormalization(name="norm"),
            layers.Flatten(name="flat"),
            layers.Dense(5, name="head"),
        ],
        name="small",
    )
    kernel = model.get_layer("head").kernel
    kernel.assign(np.where(np.arange(kernel.shape[0])[:, None] % 4 == 0, 0.0, kernel.numpy()))
    return model


def _subject(model: Any, options: Options = OPTIONS) -> Subject:
    return Subject.of(given(model), options, place("cpu"))


def test_every_fact_has_a_finder() -> None:
    assert FINDERS.keys() == FACTS.keys()
    assert list(FINDERS)[-1] == "retraces"  # it runs steps, which change the weights


def test_cheap_facts(tmp_path: Path) -> None:
    path = tmp_path / "small.keras"
    model = _small()
    model.save(path)
    found = model_facts(Contestant("small", str(path), OPTIONS), facts_for(()), lambda phase: None)
    kernels = [weight.numpy() for weight in model.weights if len(weight.shape) > 1]
    inspected = inspect(path, batch_size=4)
    zeros = sum(int((kernel == 0).sum()) for kernel in kernels)
    assert zeros == 16 // 4 * 4 * 5
    assert found.values == {
        "params": model.count_params(),
        "trainable_params": model.count_params() - 8,
        "sparsity": pytest.approx(zeros / sum(kernel.size for kernel in kernels)),
        "half_share": 0.0,
        "file_bytes": path.stat().st_size,
        "forward_flops": inspected.totals.forward_flops,
        "step_flops": inspected.totals.flops,
    }
    assert (found.dtypes, found.cost_s, found.notes) == ({"float32": model.count_params()}, {}, ())
    assert found.circumstances == {"batch_size": "4"}
    by_path = {layer.path: layer.values for layer in found.layers}
    assert by_path["small/head"]["sparsity"] == pytest.approx(0.25, abs=0.01)
    assert "sparsity" not in by_path["small/norm"]
    for name in ("params", "trainable_params", "forward_flops", "step_flops"):
        assert sum(values.get(name, 0) for values in by_path.values()) == found.values[name]


def test_sixteen_bits_are_counted_among_floating_point_weights() -> None:
    model = keras.Sequential(
        [keras.Input((4,)), layers.Dense(3, dtype="bfloat16", name="half"), layers.Dense(2, name="full")]
    )
    model.add(layers.Dropout(0.5))  # its seed is no weight
    subject = _subject(model)
    found = FINDERS["half_share"](subject)
    assert found.value == pytest.approx(15 / 23)
    assert {path.rpartition("/")[2]: share for path, share in found.layers.items()} == {"half": 1.0, "full": 0.0}


def test_costly_facts_and_their_layers() -> None:
    model = _small()
    subject = _subject(model)
    found = {name: FINDERS[name](subject) for name in FINDERS if name in COSTLY - {"failed_certificates"}}
    same = prepared(given(_small()), OPTIONS, place("cpu"))
    assert found["graph_ops"].value == len(list(StepGraph(same.step.concrete(same.batch.arguments)).live())) > 50
    assert found["outside_xla"].value == 0
    assert found["peak_bytes"].value == estimate(same).estimate_bytes
    assert 0 < found["fusions"].value < found["hlo_instructions"].value
    assert found["retraces"].value == 1
    assert found["hlo_instructions"].layers["small/conv"] > 0
    assert sum(found["graph_ops"].layers.values()) <= found["graph_ops"].value


def test_what_xla_leaves_outside_is_counted_by_layer() -> None:
    model = keras.Sequential(
        [keras.Input((4,)), layers.Dense(3), Callback(name="python"), Worded(name="worded")], name="odd"
    )
    subject = _subject(model, Options("infer", 4))
    found = outside_xla(subject)
    types = [op.type for op in subject.ops.ops if op.layer in ("odd/python", "odd/worded")]
    assert {"PyFunc", "AsString", "Equal"} <= {*types}
    assert found.layers == {"odd/python": 1, "odd/worded": 2}  # AsString, and Equal of strings
    clean = outside_xla(_subject(keras.Sequential([keras.Input((5, 4)), layers.LSTM(3), layers.Dense(2)])))
    assert clean.value == 0


def test_memory_under_xla_is_that_of_its_buffers() -> None:
    subject = _subject(_small(), Options("infer", 4, xla=True))
    weights = sum(weight.numpy().nbytes for weight in subject.workload.model.weights)
    assert peak_bytes(subject).value > weights


def test_a_fixed_batch_has_no_smaller_one() -> None:
    model = keras.Sequential([keras.Input(batch_shape=(4, 3)), layers.Dense(2)])
    assert retraces(_subject(model, Options())).value == 0


def test_a_model_that_dies_costs_only_its_own_facts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "deadly.py").write_text(DEADLY)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("DEADLY", "")
    import deadly  # type: ignore[import-not-found]

    good, bad, junk = (tmp_path / f"{name}.keras" for name in ("good", "bad", "junk"))
    _small().save(good)
    keras.Sequential([keras.Input((3,)), deadly.Deadly(), layers.Dense(2)]).save(bad)
    junk.write_bytes(b"PK junk")
    monkeypatch.setenv("DEADLY", "1")
    files = {"junk": junk, "good": good, "bad": bad}  # what comes after a death is tried without TensorFlow
    subjects = [Contestant(name, str(file), OPTIONS, imports=("deadly",)) for name, file in files.items()]
    found = facts_of(subjects, dict.fromkeys(files, facts_for(("max_failed_certificates",))), 120.0)
    assert isinstance(found["bad"], Failure)
    assert isinstance(found["junk"], Failure)
    assert isinstance(found["good"], ModelFacts)
    assert (found["bad"].ending, found["junk"].ending) == ("crashed", "unreadable")
    assert "signal 9" in found["bad"].message
    assert found["good"].values["failed_certificates"] == 0
    assert found["good"].cost_s["failed_certificates"] > 0
