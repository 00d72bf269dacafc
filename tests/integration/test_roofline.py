"""Layers under the roofs of this machine, for real: what should compute computes, what should wait for memory waits."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import keras
import pytest
import tensorflow as tf
from keras import layers
from profiled import profiled

from bench.zoo import ZOO
from tfopt.model.cost import layer_costs
from tfopt.records.profile import LayerRow, ProfileRecord
from tfopt.report.progress import silent
from tfopt.workload.device import place
from tfopt.workload.machine import _ADDITION, _Probe, _waited_s, known_machine, measure_machine


def _probe(record: ProfileRecord) -> LayerRow:
    return next(row for row in record.layers if row.path.endswith("/probe"))


def _between(shape: tuple[int, ...], probe: Any) -> Any:
    """A model in which `probe` stands between two layers that nothing fuses with it."""
    inputs = keras.Input(shape)
    return keras.Model(inputs, layers.Activation("tanh")(probe(layers.Activation("tanh")(inputs))))


def test_the_machine_is_measured_once_and_again_when_asked() -> None:
    said: list[str] = []
    placement = place("cpu")
    first, notes = known_machine(placement, False, silent)
    again, _ = known_machine(placement, False, lambda stage, done: said.append(stage))
    assert (again, notes, said) == (first, (), [])
    anew, _ = known_machine(placement, True, lambda stage, done: said.append(stage))
    assert said == ["measuring the machine"]
    assert list(anew.peak_gflops) == ["float32", "bfloat16", "float16"]
    assert min(*anew.peak_gflops.values(), anew.bandwidth_gb_per_s) > 0.1
    assert known_machine(placement, False, silent)[0] == anew


def test_what_a_busy_machine_gives_is_told_and_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    before, _ = known_machine(place("cpu"), False, silent)
    waited = itertools.count(0.0, 1e6)
    monkeypatch.setattr("tfopt.workload.machine._BUSY", 0.2)
    monkeypatch.setattr("tfopt.workload.machine._waited_s", lambda: next(waited))
    machine, (note,) = known_machine(place("cpu"), True, silent)
    assert note.message.startswith("the machine was busy when its roofs were measured: threads waited for 100.0 %")
    assert machine != before
    assert known_machine(place("cpu"), False, silent) == (before, ())


def test_the_peak_is_the_best_run_and_the_bandwidth_the_usual_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory that is shared gives twice as much for a moment, now and then."""

    def turn(probe: _Probe) -> list[float]:
        return [50e9, 96e9, 51e9] if probe.what == _ADDITION else [1e9, 400e9, 2e9]

    monkeypatch.setattr("tfopt.workload.machine._turn", turn)
    monkeypatch.setattr("tfopt.workload.machine._SECONDS", 0.0)
    machine = measure_machine(place("cpu"))
    assert machine.bandwidth_gb_per_s == pytest.approx(51.0)
    assert set(machine.peak_gflops.values()) == {400.0}


def test_waiting_is_seen_where_linux_tells_it() -> None:
    """Two threads per core that compute: each waits about half of the time."""
    with open("/proc/self/schedstat") as file:
        if not file.read().split()[1:2]:
            pytest.skip("this Linux does not tell")
    before, ends = _waited_s(), time.monotonic() + 0.5
    spin = "import time, sys\nends = time.monotonic() + 0.5\nwhile time.monotonic() < ends: pass"
    others = [subprocess.Popen([sys.executable, "-c", spin]) for _ in range(2 * len(os.sched_getaffinity(0)))]
    while time.monotonic() < ends:
        pass
    assert [other.wait() for other in others] == [0] * len(others)
    assert _waited_s() - before > 0.05


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
    row = _probe(profiled(_between(shape, probe()), mode="infer", batch_size=64, steps=5))
    assert row.bound == bound
    assert row.roof_share is not None
    assert row.roof_share < 2  # the machine may be busier when its roofs are measured than now


@pytest.mark.parametrize("mode", ["train", "infer"])
@pytest.mark.parametrize("name", ["cnn", "transformer", "rnn", "nested_shared", "subclassed"])
def test_the_rows_add_up_to_what_the_model_costs(name: str, mode: Any) -> None:
    keras.utils.set_random_seed(1)
    model = ZOO[name]()
    record = profiled(model, mode=mode, steps=3, trace_steps=2, batch_size=8)
    x = keras.ops.zeros(record.run.inputs[0].shape, record.run.inputs[0].dtype)
    costs = layer_costs(model, x, mode=mode, optimizer=model.optimizer if mode == "train" else None)
    assert sum(row.flops or 0 for row in record.layers) == sum(cost.flops for cost in costs) > 0
    assert sum(row.moved_bytes or 0 for row in record.layers) == sum(cost.moved_bytes for cost in costs) > 0


def test_eager_rates_are_those_of_the_forward_pass() -> None:
    record = profiled(ZOO["cnn"](), eager=True, steps=3, trace_steps=2, batch_size=8)
    row = next(row for row in record.layers if row.path.endswith("/conv_1"))
    assert row.flops is not None
    assert row.gflops_per_s is not None
    # Forward is about a third of the operations, and self_ms the forward pass alone.
    assert 0.2 < row.gflops_per_s * row.self_ms * 1e6 / row.flops < 0.5


class Contrasting(keras.Model):
    """A model whose own training step calls it twice."""

    def train_step(self, data: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = keras.ops.mean((self(data[0]) - self(-data[0])) ** 2)
        weights = self.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        return {"loss": loss}


def test_a_step_of_the_model_s_own_is_counted_as_it_calls() -> None:
    inputs = keras.Input((64,))
    outputs = layers.Dense(32, name="probe")(inputs)
    rows = []
    for kind in (keras.Model, Contrasting):
        model = kind(inputs, outputs)
        model.compile("sgd", "mse")
        rows.append(_probe(profiled(model, steps=3, trace_steps=2, batch_size=8)))
    once, twice = rows
    update = 3 * (64 * 32 + 32)
    assert once.flops is not None
    assert twice.flops is not None
    assert 1.8 < (twice.flops - update) / (once.flops - update) < 2.2


@pytest.mark.parametrize("what", ["count", "measure"])
def test_what_cannot_be_known_is_a_note(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: Any, **kwargs: Any) -> Any:
        raise ZeroDivisionError("no such number")

    monkeypatch.setattr(f"tfopt.profiling.costing.{'step_costs' if what == 'count' else 'known_machine'}", broken)
    record = profiled(_between((8,), layers.Dense(8, name="probe")), mode="infer", steps=3)
    assert record.machine is None
    assert (_probe(record).flops is None, _probe(record).bound) == (what == "count", None)
    messages = {
        "count": "the layers' work could not be counted: no such number",
        "measure": "this machine's roofs could not be measured: no such number",
    }
    assert messages[what] in [note.message for note in record.notes]


def test_a_serving_signature_is_counted_by_scope(tmp_path: Path) -> None:
    _between((64,), layers.Dense(64, use_bias=False, name="probe")).export(tmp_path / "saved", verbose=False)
    record = profiled(str(tmp_path / "saved"), mode="infer", steps=3, batch_size=16)
    row = next(row for row in record.layers if "probe" in row.path and row.flops)
    assert row.flops == 2 * 16 * 64 * 64
