"""`tfopt.check` around its workers: what each is asked, and what becomes of what they find. No worker runs."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

import tfopt
from tests.unit.check_workers_for_tests import SLOWER, Workers, write_models
from tests.unit.test_check_accuracy import drift, output
from tfopt.checks.checking import worst
from tfopt.checks.failure import INTERRUPTED, Failure
from tfopt.errors import InputError, RunFailed, UsageError
from tfopt.model.source import file_label
from tfopt.records.check import CheckRecord, GateVerdict
from tfopt.report.gates import answer, troubles
from tfopt.workload.drift.drifting import NO_TIME
from tfopt.workload.duel import BaselineHung, TooSlow

CRASHED = Failure("crashed", "m.keras: the process was ended by signal 11", "try it alone")
UNREADABLE = Failure("unreadable", "m.keras is no model", "give another")


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Workers:
    monkeypatch.chdir(tmp_path)
    write_models("m", "n", "old")
    return Workers(monkeypatch)


def verdicts(record: CheckRecord, at: int = 0) -> dict[str, GateVerdict]:
    return {gate.name: gate.verdict for gate in record.models[at].gates}


def test_all_three_kinds_against_a_baseline(workers: Workers) -> None:
    record = tfopt.check("m.keras", baseline="old.keras", budgets={"max_params": 100}, seed=4)
    assert workers.said == [
        ("facts", "m.keras", "the baseline of m.keras"),
        ("drift", "the baseline of m.keras", "m.keras", "infer"),
        ("duel", "the baseline of m.keras", "m.keras"),
    ]
    assert verdicts(record) == dict.fromkeys(("max_params", "min_cosine", "tolerance", "wall_tolerance"), "PASS")
    assert (record.exit_code, record.models[0].baseline) == (0, "old.keras")
    rules = {name: workers.rules[name] for name in ("clock", "one_sided", "tolerance", "seed")}
    assert rules == {"clock": "cpu", "one_sided": True, "tolerance": 0.05, "seed": 4}


def test_elsewhere_than_on_the_cpu_wall_time_decides(workers: Workers) -> None:
    record = tfopt.check("m.keras", baseline="old.keras", device="gpu:0", only=["timing"])
    assert (workers.rules["clock"], list(verdicts(record))) == ("wall", ["tolerance"])


def test_without_budgets_no_fact_may_get_worse_than_the_baseline_s(workers: Workers) -> None:
    workers.params = {"m.keras": 110.0}
    gate = tfopt.check("m.keras", baseline="old.keras", only=["budget"]).models[0].gates[0]
    assert (gate.name, gate.verdict, gate.reference) == ("max_params_increase", "FAIL", 100.0)


@pytest.mark.parametrize("only", ["accuracy", "timing"])
def test_a_failure_says_in_which_layers_and_what_looks_closer(workers: Workers, only: Any) -> None:
    workers.logs, workers.drift = {"m.keras": SLOWER}, drift(output(cosine=0.5))
    workers.params = {"m.keras": 120.0}
    options = {"only": [only], "data": "x.npz" if only == "timing" else "synthetic"}
    record = tfopt.check("m.keras", baseline="old.keras", xla=True, batch_size=8, **options)
    gate = next(gate for gate in record.models[0].gates if gate.verdict == "FAIL")
    (layer,) = gate.layers
    scale = 6 if only == "timing" else 1
    assert (layer.path, layer.before, layer.after) == ("model/dense", 100 * scale, 120 * scale)
    assert gate.layers_fact == ("step_flops" if only == "timing" else "params")
    told = next(each for each in troubles(record) if each.verdict == "FAIL")
    assert told.layers == ("model/dense 600 FLOPs → 720 FLOPs" if only == "timing" else "model/dense params 100 → 120",)
    data = "--data x.npz " if only == "timing" else ""
    assert gate.look_closer == f"tfopt compare old.keras {data}m.keras --batch-sizes 8 --variants xla"
    assert record.exit_code == 1


def test_the_command_that_compares_can_be_pasted_whatever_the_file_is_called(workers: Workers) -> None:
    for name, words in (("-m.keras", "tfopt compare old.keras ./-m.keras"), ("m\n.keras", "")):
        Path("m.keras").rename(name)
        workers.logs = {file_label(name): SLOWER}
        (model,) = tfopt.check(name, baseline="old.keras", only=["timing"]).models
        assert {gate.look_closer for gate in model.gates if gate.verdict == "FAIL"} == {words}
        Path(name).rename("m.keras")


def test_what_costs_facts_to_explain_is_not_paid_where_nothing_failed(workers: Workers) -> None:
    tfopt.check("m.keras", baseline="old.keras", only=["timing"])
    assert [said[0] for said in workers.said] == ["duel"]


def test_all_models_are_checked_although_one_fails(workers: Workers) -> None:
    workers.params = {"m.keras": CRASHED}
    record = tfopt.check(["m.keras", "n.keras"], baseline="old.keras", budgets={"max_params": 100})
    first, second = record.models
    assert set(verdicts(record).values()) == {"ERROR"}
    assert set(verdicts(record)) == {"budget", "accuracy", "timing"}
    assert (first.ending, first.failure, first.exit_code) == ("crashed", CRASHED.message, 4)
    assert set(verdicts(record, 1).values()) == {"PASS"}
    assert (second.exit_code, record.exit_code) == (0, 4)


@pytest.mark.parametrize(("failure", "code"), [(CRASHED, 4), (UNREADABLE, 3)])
def test_a_baseline_that_fails_leaves_absolute_budgets(workers: Workers, failure: Failure, code: int) -> None:
    workers.params = {"the baseline of m.keras": failure}
    record = tfopt.check("m.keras", baseline="old.keras", budgets={"max_params": 100, "max_params_increase": 0.0})
    assert verdicts(record)["max_params"] == "PASS"
    assert verdicts(record)["max_params_increase"] == "NEW"
    assert {gate.kind: gate.verdict for gate in record.models[0].gates if gate.verdict == "ERROR"} == dict.fromkeys(
        ("budget", "accuracy", "timing"), "ERROR"
    )
    assert record.exit_code == code
    assert [said[0] for said in workers.said] == ["facts"]


def test_files_that_are_no_models_are_told_without_a_worker(workers: Workers) -> None:
    Path("bad.keras").write_text("version https://git-lfs.github.com/spec/v1\n")
    record = tfopt.check(["bad.keras", "missing.keras", "n.keras"], baseline="old.keras", only=["timing"])
    assert [one.exit_code for one in record.models] == [3, 3, 0]
    assert record.models[1].failure.startswith("no such file: missing.keras")
    assert record.exit_code == 3


@pytest.mark.parametrize(
    ("error", "ending", "code"),
    [(InputError("cannot be loaded", ""), "unreadable", 3), (RunFailed("ended by signal 9", ""), "crashed", 4)],
)
def test_a_baseline_that_the_duel_cannot_run(workers: Workers, error: Exception, ending: str, code: int) -> None:
    workers.fails = error
    record = tfopt.check("m.keras", baseline="old.keras", only=["timing"])
    assert (record.models[0].ending, record.exit_code, verdicts(record)) == (ending, code, {"timing": "ERROR"})


def test_a_file_that_is_written_to_meanwhile_passes_nothing(workers: Workers) -> None:
    workers.during = lambda: Path("m.keras").write_bytes(Path("m.keras").read_bytes() + b"\0")
    record = tfopt.check("m.keras", baseline="old.keras", only=["accuracy"])
    assert (verdicts(record), record.exit_code) == ({"accuracy": "ERROR"}, 3)
    assert "while it was read" in record.models[0].failure


def test_the_self_test_needs_no_baseline(workers: Workers) -> None:
    record = tfopt.check("m.keras", self_test=True, only=["timing"])
    assert workers.said == [("duel", "m.keras", "m.keras again")]
    assert workers.rules["one_sided"] is False  # its interval counts on both sides
    assert verdicts(record) == {"self_test": "PASS"}
    assert record.models[0].self_test is not None


def test_below_the_noise_floor_nothing_fails(workers: Workers) -> None:
    workers.logs = {"m.keras again": [0.3, -0.3, 0.25, -0.2], "m.keras": SLOWER}
    record = tfopt.check("m.keras", baseline="old.keras", self_test=True, only=["timing"])
    assert verdicts(record) == {"self_test": "INCONCLUSIVE", "tolerance": "INCONCLUSIVE", "wall_tolerance": "PASS"}
    assert record.exit_code == 0
    assert tfopt.check("m.keras", baseline="old.keras", self_test=True, only=["timing"], strict=True).exit_code == 5


def test_a_baseline_that_hangs_is_not_said_to_have_crashed(workers: Workers) -> None:
    workers.fails = BaselineHung("the baseline of m.keras: no answer for 38 s", "")
    (model,) = tfopt.check("m.keras", baseline="old.keras", only=["timing"]).models
    assert (model.ending, model.exit_code) == ("hung", 4)
    workers.fails = TooSlow("9 s are too few", "give more")
    record = tfopt.check("m.keras", baseline="old.keras", only=["timing"])
    (model,) = record.models
    assert (model.ending, model.exit_code, model.gates[0].message) == ("", 4, "9 s are too few")
    assert [told.hint for told in troubles(record)] == ["give more"]


@pytest.mark.parametrize(("hung", "ending", "words"), [(True, "hung", "no end after"), (False, "", "still at work")])
def test_outputs_that_take_too_long_to_compare(workers: Workers, hung: bool, ending: str, words: str) -> None:
    workers.drift, workers.hung = replace(drift(), failure=NO_TIME), hung
    record = tfopt.check("m.keras", baseline="old.keras", only=["accuracy"])
    assert (record.models[0].ending, record.exit_code, verdicts(record)) == (ending, 4, {"accuracy": "ERROR"})
    (told,) = troubles(record)
    assert told.message.startswith(f"comparing outputs: {words}")
    assert ("--max-time" in told.hint) is not hung


def test_what_time_was_left_for_is_checked_and_the_rest_is_not_said_to_hang(workers: Workers) -> None:
    record = tfopt.check("m.keras", baseline="old.keras", max_time=3, only=["budget", "timing"])
    assert [said[0] for said in workers.said] == ["facts"]
    assert (verdicts(record)["max_params_increase"], verdicts(record)["timing"]) == ("PASS", "ERROR")
    assert (record.models[0].ending, record.exit_code) == ("", 4)


def test_facts_of_a_baseline_of_several_models_are_found_once_and_its_failure_is_its_own(workers: Workers) -> None:
    workers.params = {"the baseline of m.keras": CRASHED}
    record = tfopt.check(["m.keras", "n.keras"], baseline="old.keras", only=["budget"])
    assert workers.said == [("facts", "m.keras", "the baseline of m.keras", "n.keras")]
    assert [model.failure for model in record.models] == [f"the baseline: {CRASHED.message}"] * 2


def test_the_worst_of_several_failures_counts(workers: Workers) -> None:
    workers.params = {"m.keras": UNREADABLE, "the baseline of m.keras": CRASHED}
    assert tfopt.check("m.keras", baseline="old.keras", only=["budget"]).exit_code == 4


def test_ctrl_c_before_anything_was_judged_ends_it_without_an_answer(workers: Workers) -> None:
    workers.ctrl_c_at = "m.keras"
    with pytest.raises(KeyboardInterrupt):
        tfopt.check("m.keras", baseline="old.keras", only=["timing"])


def test_ctrl_c_keeps_what_was_judged_and_passes_nothing_else(workers: Workers) -> None:
    workers.ctrl_c_at, workers.drift = "n.keras", drift(output(cosine=0.5))
    record = tfopt.check(["m.keras", "n.keras"], baseline="old.keras", self_test=True, only=["accuracy", "timing"])
    passed = dict.fromkeys(("self_test", "tolerance", "wall_tolerance"), "PASS")
    assert (verdicts(record), record.models[0].exit_code) == ({"min_cosine": "FAIL", **passed}, 1)
    # One of its two duels was over.
    assert verdicts(record, 1) == {"min_cosine": "FAIL", "self_test": "PASS", "timing": "ERROR"}
    assert (record.exit_code, answer(record)) == (130, ("INTERRUPTED", "2 failed", "1 error", "4 passed"))
    assert [(told.name, told.hint) for told in troubles(record)] == [
        ("min_cosine", "tfopt compare old.keras m.keras"),
        ("min_cosine", "tfopt compare old.keras n.keras"),
        ("timing", ""),
    ]
    assert "facts" not in [said[0] for said in workers.said]  # nothing more is started
    assert record.models[1].failure == INTERRUPTED.message


def test_ctrl_c_among_the_facts_keeps_models_of_which_all_were_found_and_accepts_nothing(workers: Workers) -> None:
    workers.ctrl_c_at = "the baseline of n.keras"
    models = [{"model": f"{name}.keras", "baseline": f"old_{name}.keras"} for name in ("m", "n")]
    record = tfopt.check(models=models, budgets={"max_params": 100, "max_params_increase": 0.0})
    assert verdicts(record) == {
        "max_params": "PASS",
        "max_params_increase": "PASS",
        "accuracy": "ERROR",
        "timing": "ERROR",
    }
    assert set(verdicts(record, 1).values()) == {"ERROR"}
    workers.ctrl_c_at = "n.keras"
    record = tfopt.check(["m.keras", "n.keras"], update=True)
    assert (record.run.updated, record.exit_code, Path("tfopt.lock.json").exists()) == (False, 130, False)


def test_the_lock_is_written_on_request_alone_and_then_held_against(workers: Workers) -> None:
    record = tfopt.check("m.keras", update=True)
    assert verdicts(record) == {"max_params_increase": "NEW", "max_step_flops_increase": "NEW"}  # of what there is
    assert (record.run.lock, record.run.updated) == ("tfopt.lock.json", True)
    assert json.loads(Path("tfopt.lock.json").read_text())["models"]["m.keras"][0]["facts"]["values"]["params"] == 100
    workers.params = {"m.keras": 102.0}
    limits = {"max_params_increase": 0.01}
    assert verdicts(tfopt.check("m.keras", budgets=limits)) == {"max_params_increase": "FAIL"}
    assert workers.said[-1] == ("facts", "m.keras")
    tfopt.check("m.keras", budgets=limits, update=True)
    assert verdicts(tfopt.check("m.keras", budgets=limits)) == {"max_params_increase": "PASS"}


def test_a_model_that_crashes_keeps_what_was_accepted_of_it(workers: Workers) -> None:
    tfopt.check(["m.keras", "n.keras"], update=True)
    before = json.loads(Path("tfopt.lock.json").read_text())["models"]
    workers.params = {"m.keras": CRASHED, "n.keras": 7.0}
    assert tfopt.check(["m.keras", "n.keras"], update=True).exit_code == 4
    after = json.loads(Path("tfopt.lock.json").read_text())["models"]
    assert after["m.keras"] == before["m.keras"]
    assert after["n.keras"][0]["facts"]["values"]["params"] == 7


@pytest.mark.parametrize(
    ("options", "message"),
    [({"lock": "nowhere/lock.json"}, "nowhere does not exist"), ({"only": ["timing"]}, "--only leaves budgets out")],
)
def test_what_cannot_be_accepted_is_said_before_anything_runs(workers: Workers, options: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        tfopt.check("m.keras", baseline="old.keras", update=True, **options)
    assert not workers.said


def test_a_lock_that_cannot_be_written_after_all_costs_no_answer(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object) -> None:
        raise RunFailed("cannot write tfopt.lock.json: no space left", "make room")

    monkeypatch.setattr("tfopt.checks.pipeline.write_lock", full)
    record = tfopt.check("m.keras", budgets={"max_params": 1000}, update=True)
    assert (verdicts(record), record.exit_code, record.run.updated) == ({"max_params": "PASS"}, 4, False)
    assert record.notes[0].message == "not accepted: cannot write tfopt.lock.json: no space left"


def test_accepting_does_not_hide_an_absolute_budget(workers: Workers) -> None:
    record = tfopt.check("m.keras", budgets={"max_params": 50, "max_params_increase": 0.0}, update=True)
    assert verdicts(record) == {"max_params": "FAIL", "max_params_increase": "NEW"}
    assert (record.exit_code, record.run.updated) == (1, True)


def test_a_model_object_is_told_by_its_name(workers: Workers) -> None:
    class Small:
        name, layers = "small", ()

        def save(self, path: Path) -> None:
            path.write_bytes(Path("m.keras").read_bytes())

    record = tfopt.check(Small(), baseline="old.keras", budgets={"max_params": 50}, only=["budget"])
    (model,) = record.models
    assert (model.label, model.model, model.gates[0].verdict) == ("small", "small", "FAIL")
    assert model.gates[0].look_closer == ""
    assert "/tmp" not in str(record)


def test_a_lock_of_a_newer_schema_is_refused_before_anything_runs(workers: Workers) -> None:
    Path("tfopt.lock.json").write_text('{"schema": "tfopt.lock/9", "models": {}}')
    with pytest.raises(InputError, match=r"tfopt\.lock/9"):
        tfopt.check("m.keras", baseline="old.keras")
    assert not workers.said


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "there is nothing to hold m.keras against"),
        ({"only": ["timing"]}, "m.keras has no baseline for its timing"),
        ({"only": ["budget"]}, "there is nothing to hold m.keras against"),
        ({"accuracy": {"max_rel": 0.1}, "budgets": {"max_params": 1}}, "m.keras has no baseline for its accuracy"),
        ({"timing": {"tolerance": 0.1}, "budgets": {"max_params": 1}}, "m.keras has no baseline for its timing"),
        ({"max_time": 0}, "a check cannot take 0 s"),
        ({"max_time": math.nan}, "a check cannot take nan s"),
        ({"budgets": {"max_parms": 1}}, "unknown key 'max_parms' in check.budgets"),
    ],
)
def test_what_leaves_nothing_to_check_is_a_mistake(workers: Workers, options: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        tfopt.check("m.keras", **options)
    assert not workers.said


@pytest.mark.parametrize("options", [{}, {"only": ["budget"]}, {"only": ["timing"]}])
def test_a_name_that_is_spelt_wrong_is_told_before_there_is_nothing_to_hold_it_against(
    workers: Workers, options: Any
) -> None:
    with pytest.raises(InputError, match=r"no such file: mm\.keras") as raised:
        tfopt.check("mm.keras", **options)
    assert raised.value.hint == "did you mean m.keras?"


@pytest.mark.parametrize(("codes", "code"), [((), 0), ((0, 5), 5), ((5, 1), 1), ((1, 3, 5), 3), ((3, 4, 1), 4)])
def test_the_worst_exit_code_wins(codes: tuple[int, ...], code: int) -> None:
    assert worst(codes) == code


def test_no_model_is_a_mistake(workers: Workers) -> None:
    with pytest.raises(UsageError, match="there is no model to check"):
        tfopt.check()
