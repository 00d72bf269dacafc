"""Layers under the roofs of this machine, for real: what should compute computes, what should wait for memory waits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import pytest
from keras import layers
from tfopt.model.cost import layer_costs

import tfopt
from bench.zoo import ZOO
from tfopt.records.profile import LayerRow, ProfileRecord
from tfopt.workload.device import place
from tfopt.workload.machine import known_machine


def _probe(record: ProfileRecord) -> LayerRow:
    return next(row for row in record.layers if row.path.endswith("/probe"))


def _between(shape: tuple[int, ...], probe: Any) -> Any:
    """A model in which `probe` stands between two layers that nothing fuses with it."""
    inputs = keras.Input(shape)
    return keras.Model(inputs, layers.Activation("tanh")(probe(layers.Activation("tanh")(inputs))))


def test_the_machine_is_measured_once_and_again_when_asked() -> None:
    said: list[str] = []
    placement = place("cpu")
    first, notes = known_machine(placement, False, lambda stage, done: None)
    again, _ = known_machine(placement, False, lambda stage, done: said.append(stage))
    assert (again, notes, said) == (first, (), [])
    anew, _ = known_machine(placement, True, lambda stage, done: said.append(stage))
    assert said == ["measuring the machine"]
    assert list(anew.peak_gflops) == ["float32", "bfloat16", "float16"]
    assert min(*anew.peak_gflops.values(), anew.bandwidth_gb_per_s) > 0.1
    assert known_machine(placement, False, lambda stage, done: None)[0] == anew


@pytest.mark.parametrize(
    ("shape", "probe", "bound"),
    [
        ((4096,), lambda: layers.Dense(4096, name="probe"), "compute"),
        ((64, 64, 64), lambda: layers.BatchNormalization(name="probe"), "memory"),
        ((8,), lambda: layers.Dense(8, name="probe"), "overhead"),
    ],
    ids=["large matrix product", "large normalisation", "tiny matrix product"],
)
def test_what_binds_a_layer(shape: tuple[int, ...], probe: Any, bound: str) -> None:
    row = _probe(tfopt.profile(_between(shape, probe()), mode="infer", batch_size=128, steps=5))
    assert row.bound == bound
    assert row.roof_share is not None
    assert row.roof_share > 0.2 or bound == "overhead"
    assert row.roof_share < 1.5


@pytest.mark.parametrize("mode", ["train", "infer"])
@pytest.mark.parametrize("name", ["cnn", "transformer", "rnn", "nested_shared", "subclassed"])
def test_the_rows_add_up_to_what_the_model_costs(name: str, mode: Any) -> None:
    keras.utils.set_random_seed(1)
    model = ZOO[name]()
    record = tfopt.profile(model, mode=mode, steps=3, trace_steps=2, batch_size=8)
    x = keras.ops.zeros(record.run.inputs[0].shape, record.run.inputs[0].dtype)
    costs = layer_costs(model, x, mode=mode, optimizer=model.optimizer if mode == "train" else None)
    assert sum(row.flops or 0 for row in record.layers) == sum(cost.flops for cost in costs) > 0
    assert sum(row.moved_bytes or 0 for row in record.layers) == sum(cost.moved_bytes for cost in costs) > 0


def test_eager_rates_are_those_of_the_forward_pass() -> None:
    record = tfopt.profile(ZOO["cnn"](), eager=True, steps=3, trace_steps=2, batch_size=8)
    row = next(row for row in record.layers if row.path.endswith("/conv_1"))
    assert row.flops is not None
    assert row.gflops_per_s is not None
    # Forward is about a third of the operations, and self_ms the forward pass alone.
    assert 0.2 < row.gflops_per_s * row.self_ms * 1e6 / row.flops < 0.5


class OwnStep(keras.Model):
    """Trains on two calls of its network."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def call(self, inputs: Any) -> Any:
        return self.network(inputs)

    def train_step(self, data: Any) -> Any:
        return super().train_step(data) if False else {"loss": keras.ops.sum(self(data[0]) - self(data[0] * 2))}


@pytest.mark.parametrize("what", ["count", "measure"])
def test_what_cannot_be_known_is_a_note(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: Any, **kwargs: Any) -> Any:
        raise ZeroDivisionError("no such number")

    monkeypatch.setattr(f"tfopt.profiling.costing.{'layer_costs' if what == 'count' else 'known_machine'}", broken)
    record = tfopt.profile(_between((8,), layers.Dense(8, name="probe")), mode="infer", steps=3)
    assert record.machine is None
    assert (_probe(record).flops is None, _probe(record).bound) == (what == "count", None)
    messages = {
        "count": "the layers' work could not be counted: no such number",
        "measure": "this machine's roofs could not be measured: no such number",
    }
    assert messages[what] in [note.message for note in record.notes]


def test_a_serving_signature_has_no_costs(tmp_path: Path) -> None:
    _between((8,), layers.Dense(8, name="probe")).export(tmp_path / "saved", verbose=False)
    record = tfopt.profile(str(tmp_path / "saved"), mode="infer", steps=3)
    assert all(row.flops is None for row in record.layers)
    assert any(note.message.startswith("the layers' work could not be counted") for note in record.notes)
