"""Budgets: every verdict, and what each gate says."""

from __future__ import annotations

import math
from fractions import Fraction

import msgspec
import pytest
from facts_for_tests import MODEL, facts
from hypothesis import given
from hypothesis import strategies as st

from tfopt.checks.budgets import budget_gates
from tfopt.checks.lock import Reference
from tfopt.records.base import Note
from tfopt.records.check import Gate
from tfopt.records.facts import ModelFacts
from tfopt.workload.options import Options
from tfopt.workload.workers.contestant import Contestant


def _gate(found: ModelFacts, key: str, limit: float | tuple[str, ...], reference: Reference | None = None) -> Gate:
    (gate,) = budget_gates(MODEL, found, {key: limit}, reference)
    return gate


def _against(found: ModelFacts, key: str, limit: float, before: ModelFacts, elsewhere: str = "") -> Gate:
    return _gate(found, key, limit, Reference(before, "the lock", elsewhere))


@pytest.mark.parametrize(
    ("key", "limit", "values", "verdict"),
    [
        ("max_params", 100, {"params": 100}, "PASS"),
        ("max_params", 100, {"params": 101}, "FAIL"),
        ("max_step_flops", 3e12, {"step_flops": 3e12 + 1}, "FAIL"),
        ("min_sparsity", 0.5, {"sparsity": 0.5}, "PASS"),
        ("min_sparsity", 0.5, {"sparsity": 0.4999}, "FAIL"),
        ("max_failed_certificates", 0, {"failed_certificates": 0}, "PASS"),
        ("max_failed_certificates", 0, {"failed_certificates": 1}, "FAIL"),
        ("max_params", 100, {}, "ERROR"),
        ("max_params", 100, {"params": math.nan}, "ERROR"),
        ("min_sparsity", 0.0, {"sparsity": math.inf}, "ERROR"),
        ("max_params_increase", 0.0, {"params": 100}, "NEW"),
    ],
)
def test_verdicts_without_a_reference(key: str, limit: float, values: dict[str, float], verdict: str) -> None:
    gate = _gate(facts(**values), key, limit)
    assert gate.verdict == verdict
    assert bool(gate.look_closer) == (verdict in ("FAIL", "ERROR"))


@pytest.mark.parametrize(
    ("key", "limit", "before", "after", "verdict"),
    [
        ("max_params_increase", 0.0, 100, 100, "PASS"),
        ("max_params_increase", 0.0, 100, 101, "FAIL"),
        ("max_params_increase", 0.0, 100, 99, "IMPROVED"),
        ("max_params_increase", 0.0, 0, 0, "PASS"),
        ("max_params_increase", 0.5, 0, 1, "FAIL"),
        ("max_sparsity_decrease", 0.0, 0.5, 0.5, "PASS"),
        ("max_sparsity_decrease", 0.0, 0.5, 0.49, "FAIL"),
        ("max_sparsity_decrease", 0.02, 0.5, 0.49, "PASS"),  # of a share so much of the whole
        ("max_sparsity_decrease", 0.0, 0.5, 0.6, "IMPROVED"),
        ("max_sparsity_decrease", 0.1, 0.9, 0.8, "PASS"),  # 0.9 - 0.1 is more than 0.8 in binary
        ("max_sparsity_decrease", 0.3, 0.1 + 0.2, 0.0, "PASS"),
    ],
)
def test_verdicts_against_a_lock(key: str, limit: float, before: float, after: float, verdict: str) -> None:
    name = key.removeprefix("max_").rpartition("_")[0]
    gate = _against(facts(**{name: after}), key, limit, facts(**{name: before}))
    assert (gate.verdict, gate.reference, gate.value) == (verdict, before, after)


@given(st.integers(1, 10**13), st.integers(0, 100), st.integers(-2, 2))
def test_a_bound_is_exact_to_one(before: int, percents: int, beyond: int) -> None:
    bound = Fraction(before) * (100 + percents) / 100
    after = math.floor(bound) + beyond
    gate = _against(facts(params=after), "max_params_increase", percents / 100, facts(params=before))
    assert (gate.verdict == "FAIL") == (after > bound)


def test_another_environment_is_said_where_a_fact_depends_on_it() -> None:
    found, before = facts(graph_ops=120, params=120), facts(graph_ops=100, params=100)
    gate = _against(found, "max_graph_ops_increase", 0.0, before, "TensorFlow 2.20.0, …")
    assert (gate.verdict, gate.limit) == ("NEW", None)
    assert "another environment (TensorFlow 2.20.0, …)" in gate.message
    assert _against(found, "max_params_increase", 0.0, before, "TensorFlow 2.20.0, …").verdict == "FAIL"
    # What is allowed absolutely is allowed everywhere.
    assert _against(found, "max_graph_ops", 110, before, "TensorFlow 2.20.0, …").verdict == "FAIL"


def test_a_step_that_was_asked_for_differently_is_no_reference() -> None:
    before = msgspec.structs.replace(facts(step_flops=100, params=100), circumstances={"batch_size": "64"})
    found = facts(step_flops=50, params=101)
    gate = _against(found, "max_step_flops_increase", 0.0, before)
    assert (gate.verdict, gate.message) == ("NEW", "step_flops: 50 FLOPs; the lock has it under another batch_size")
    assert _against(found, "max_params_increase", 0.0, before).verdict == "FAIL"


def test_a_failure_names_layers_by_their_place_and_the_largest_change_first() -> None:
    before = facts(
        {"old": {}, "old/a": {"params": 10.0}, "old/gone": {"params": 5.0}, "old/b": {"params": 4.0}}, params=19
    )
    found = facts(
        {"new": {}, "new/a": {"params": 10.0}, "new/b": {"params": 14.0}, "new/c": {"params": 1.0}}, params=25
    )
    gate = _against(found, "max_params_increase", 0.0, before)
    assert [(change.path, change.before, change.after) for change in gate.layers] == [
        ("new/b", 4.0, 14.0),
        ("old/gone", 5.0, None),
        ("new/c", None, 1.0),
    ]
    assert gate.message == "params: 25, 31.6 % more than in the lock (19); allowed: at most 19"
    assert gate.look_closer == "tfopt inspect models/small.keras"


def test_without_a_reference_it_names_where_most_is_or_least_of_what_should_be_more() -> None:
    of = {"m/a": {"params": 10.0, "sparsity": 0.2}, "m/b": {"params": 90.0, "sparsity": 0.1}, "m/c": {}}
    found = facts(of, params=100, sparsity=0.11)
    assert [change.path for change in _gate(found, "max_params", 50).layers][:2] == ["m/b", "m/a"]
    assert [change.path for change in _gate(found, "min_sparsity", 0.5).layers] == ["m/b", "m/a"]


def test_a_fact_that_could_not_be_found_says_why() -> None:
    note = Note(message="file_bytes is not known: app:MobileNetV2 has no file")
    gate = _gate(msgspec.structs.replace(facts(), notes=(note,)), "max_file_bytes", 1e6)
    assert (gate.verdict, gate.message) == ("ERROR", note.message)


def test_bytes_and_shares_are_told_exactly() -> None:
    assert _gate(facts(file_bytes=86_536), "max_file_bytes", 86_500).message == (
        "file_bytes: 86,536 bytes; allowed: at most 86,500 bytes"
    )
    assert _gate(facts(sparsity=0.49999), "min_sparsity", 0.5).message == "sparsity: 49.999 %; allowed: at least 50 %"


def test_dtypes_that_are_not_allowed() -> None:
    found = msgspec.structs.replace(facts(), dtypes={"float32": 7, "bfloat16": 3})
    assert _gate(found, "dtypes", ("float32", "bfloat16")).verdict == "PASS"
    gate = _gate(found, "dtypes", ("bfloat16",))
    assert (gate.verdict, gate.value) == ("FAIL", 7.0)
    assert gate.message == "numbers in weights: 3 in bfloat16, 7 in float32; allowed: bfloat16"
    assert _gate(msgspec.structs.replace(facts(), dtypes={}), "dtypes", ("float32",)).verdict == "ERROR"


def test_the_command_that_looks_closer_runs_the_same_step() -> None:
    options = Options(batch_size=8, precision="mixed_bfloat16", input_shape=("x=9",), xla=True)
    subject = Contestant("s", "my model.keras", options, imports=("mine",), unsafe=True)
    (gate,) = budget_gates(subject, facts(fusions=2), {"max_fusions": 1})
    assert gate.look_closer == (
        "tfopt profile 'my model.keras' --batch-size 8 --precision mixed_bfloat16 --input-shape x=9 --import mine "
        "--xla --unsafe"
    )
    (gate,) = budget_gates(subject, facts(failed_certificates=2), {"max_failed_certificates": 1})
    assert gate.look_closer == (
        "tfopt influence 'my model.keras' --batch-size 8 --input-shape x=9 --import mine --unsafe"
    )
    (gate,) = budget_gates(MODEL, facts(fusions=2), {"max_fusions": 1})
    assert gate.look_closer == "tfopt profile models/small.keras --xla"
    assert (
        budget_gates(Contestant("s", "a\x1b[1m.keras", Options()), facts(params=2), {"max_params": 1})[0].look_closer
        == ""
    )


def test_no_share_below_nothing_is_said_to_be_allowed() -> None:
    gate = _against(facts(sparsity=0.0), "max_sparsity_decrease", 0.01, facts(sparsity=0.0))
    assert (gate.verdict, gate.limit) == ("PASS", 0.0)
