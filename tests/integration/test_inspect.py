"""`tfopt inspect` on files: whole records, honest refusals, and a model object that is left alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import msgspec
import pytest

import tfopt
from tests.integration.test_real_models import USABLE
from tfopt.cli.main import main
from tfopt.errors import InputError
from tfopt.records.inspection import CostTotals, InspectionRecord
from tfopt.records.memory import MemoryLimit
from tfopt.workload.runtime import threads_used


def _inspected(tmp_path: Path, *args: str) -> InspectionRecord:
    out = tmp_path / "costs.json"
    assert main(["inspect", *args, "--quiet", "-o", str(out)]) == 0
    return msgspec.json.decode(out.read_bytes(), type=InspectionRecord)


def _small() -> keras.Model:
    layers = keras.layers
    body = [layers.Conv2D(4, 3), layers.BatchNormalization(), layers.Flatten(), layers.Dense(5)]
    return keras.Sequential([keras.Input((8, 8, 3)), *body], name="small")


@pytest.mark.parametrize("name", USABLE)
def test_real_models_are_counted_in_full(name: str, real_models: Path, tmp_path: Path) -> None:
    record = _inspected(tmp_path, str(real_models / name), "--batch-size", "4")
    assert record.run.mode == "train"
    assert record.totals == CostTotals.of(record.layers)
    assert (record.totals.params, record.totals.weight_bytes) == (record.model.params, record.model.weight_bytes)
    assert {row.source for row in record.layers} <= {"formula", "ops"}
    assert not any(row.detail for row in record.layers)
    assert 1 < record.totals.backward_flops / record.totals.forward_flops < 2.5
    assert len({row.path for row in record.layers}) == len(record.layers)


def test_work_grows_with_the_batch_and_updates_do_not() -> None:
    one, four = (tfopt.inspect(_small(), batch_size=size).totals for size in (1, 4))
    constant = (2 + 1 + 2 + 6) * 4  # BatchNormalization's work per channel
    assert four.macs == 4 * one.macs
    assert four.forward_flops - constant == 4 * (one.forward_flops - constant)
    assert (four.optimizer_flops, four.params) == (one.optimizer_flops, one.params)


def test_a_savedmodel_is_counted_by_its_scopes(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    model = _small()
    model.export(tmp_path / "exported", verbose=False)
    record = _inspected(tmp_path, str(tmp_path / "exported"), "--batch-size", "6")
    same = tfopt.inspect(model, mode="infer", batch_size=6)
    assert record.run.mode == "infer"
    assert (record.totals.macs, record.totals.forward_flops) == (same.totals.macs, same.totals.forward_flops)
    assert record.totals.params == same.totals.params
    assert any("has no layers" in note.message for note in record.notes)
    assert main(["inspect", str(tmp_path / "exported"), "--mode", "train"]) == 3
    assert len(capfd.readouterr().err.splitlines()) == 2


def test_precision_halves_what_activations_take() -> None:
    full, mixed = (tfopt.inspect(_small(), precision=name).totals for name in ("float32", "mixed_bfloat16"))
    assert mixed.activation_bytes * 2 == full.activation_bytes
    assert (mixed.weight_bytes, mixed.macs) == (full.weight_bytes, full.macs)


def test_inference_where_nothing_can_be_trained() -> None:
    model = _small()
    model.trainable = False
    assert tfopt.inspect(model).run.mode == "infer"
    with pytest.raises(InputError, match="nothing to train"):
        tfopt.inspect(model, mode="train")


def test_a_model_object_is_left_as_it_was() -> None:
    model = _small()
    before = [value.tobytes() for value in model.get_weights()]
    tfopt.inspect(model, precision="mixed_float16")
    assert [value.tobytes() for value in model.get_weights()] == before
    assert not model.compiled
    assert {layer.dtype_policy.name for layer in model.layers} == {"float32"}


def test_the_record_says_what_its_numbers_hold_for() -> None:
    run = tfopt.inspect(_small(), xla=True, seed=5, threads=threads_used()).run
    assert (run.device, run.threads, run.seed, run.xla) == ("CPU", threads_used(), 5, True)
    assert run.loss
    assert tfopt.inspect(_small(), mode="infer").run.loss is None


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras, while saving
def test_batches_for_a_limit_run_with_the_threads_that_were_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _small().save(tmp_path / "small.keras")
    asked: list[Any] = []

    def found(limit: int, workload: Any, contestant: Any, progress: Any) -> MemoryLimit:
        asked.append(contestant)
        return MemoryLimit(limit_bytes=limit, batch_size=None)

    monkeypatch.setattr("tfopt.workload.peak.limit.batch_within", found)
    record = tfopt.inspect(str(tmp_path / "small.keras"), memory_limit="1GiB", seed=5, threads=threads_used())
    assert [(each.threads, each.options.seed) for each in asked] == [(threads_used(), 5)]
    assert record.limit == MemoryLimit(limit_bytes=2**30, asked="1GiB", batch_size=None)
