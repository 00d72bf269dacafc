"""Unusual models run and every number adds up, or they are refused in words that help."""

from __future__ import annotations

from typing import Literal

import keras
import msgspec
import pytest
from rich.cells import cell_len

import tfopt
from tests.integration.odd_models import ODD
from tests.integration.profiled import profiled
from tfopt.errors import TfoptError
from tfopt.model.layers import layer_tree
from tfopt.records.profile import ProfileRecord
from tfopt.report.view import View
from tfopt.trace.scopes import BRACKETED

_INTERNAL = ("Traceback", "{{node", "\x1b", "NoneType", "object at 0x")


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras, while quantizing
@pytest.mark.parametrize("mode", ["train", "infer"])
@pytest.mark.parametrize("name", ODD)
def test_odd_models_run_or_say_why(name: str, mode: Literal["train", "infer"]) -> None:
    odd = ODD[name]
    keras.backend.clear_session()
    model = odd.build()
    words = getattr(odd, mode)
    if words is not None:
        with pytest.raises(TfoptError, match=words) as refused:
            profiled(model, mode=mode, steps=2, trace_steps=2, **dict(odd.options))
        assert refused.value.hint
        assert not any(word in str(refused.value) for word in _INTERNAL)
        assert "\n" not in str(refused.value)
        return
    record = profiled(model, mode=mode, steps=2, trace_steps=2, **dict(odd.options))
    _assert_true(record, model)
    assert odd.values in record.run.inputs[0].values
    if mode == "train" or odd.train is not None:
        assert odd.note in "".join(f"{note.message} {note.hint}" for note in record.notes)


@pytest.mark.parametrize("program", [{"xla": True}, {"eager": True}], ids=["xla", "eager"])
@pytest.mark.parametrize("mode", ["train", "infer"])
@pytest.mark.parametrize("name", ["dicts", "several losses", "shared thrice", "ragged", "masks"])
def test_odd_models_run_in_every_program(name: str, mode: Literal["train", "infer"], program: dict[str, bool]) -> None:
    model = ODD[name].build()
    _assert_true(profiled(model, mode=mode, steps=2, trace_steps=2, batch_size=4, **program), model)


def test_what_xla_cannot_compile_is_named() -> None:
    with pytest.raises(TfoptError, match=r"on XLA_CPU_JIT: SparseFillEmptyRows.*--no-xla"):
        profiled(ODD["sparse"].build(), steps=2, xla=True)


def _assert_true(record: ProfileRecord, model: keras.Model) -> None:
    tree = [node.path for node in layer_tree(model)]
    rows = [row.path for row in record.layers]
    assert rows[: len(tree)] == tree
    assert set(rows[len(tree) :]) <= BRACKETED
    assert len(set(rows)) == len(rows)
    assert sum(row.share for row in record.layers) == pytest.approx(1, abs=1e-3)
    assert sum(row.share for row in record.phases) == pytest.approx(1, abs=1e-3)
    assert sum(op.share for op in record.ops) + record.coverage.idle == pytest.approx(1, abs=1e-3)
    # Without any op of the model only the executor's microseconds are left: little of the step, all of its busy time.
    assert record.coverage.attributed >= 0.94 or record.coverage.unattributed < 0.06
    assert msgspec.json.decode(msgspec.json.encode(record), type=ProfileRecord) == record
    lines = tfopt.render(record, View(width=80, top=0)).splitlines()
    assert [line for line in lines if cell_len(line) > 80] == []
