"""`tfopt.compare` around its workers: what each is asked, and what becomes of what they find. No worker runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from comparisons_for_tests import drift, result, timing

import tfopt
from tfopt.cli.compare import exit_code
from tfopt.errors import InputError, RunFailed, TfoptError, UsageError
from tfopt.model.source import ModelSource
from tfopt.records.advice import Fact, StepFacts
from tfopt.records.base import Note
from tfopt.records.comparison import ComparisonRecord
from tfopt.records.duel import Verdict
from tfopt.workload.drift.drifting import Drifting
from tfopt.workload.duel import Contestant, DuelOutcome

DEPTHWISE = Fact(kind="depthwise_convolution", count=17, numbers={"forward_macs": 1e9, "gradient_ops": 34})


class Workers:
    """Stands for the duel and the drift workers."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("tfopt.profiling.compare.duel", self.duel)
        monkeypatch.setattr("tfopt.profiling.compare.drifting", self.drifting)
        self.groups: list[tuple[str, list[str]]] = []
        self.arms: list[str] = []
        self.rules: dict[str, Any] = {}
        self.verdicts: list[Verdict] = []
        self.measured, self.interrupted = 10.0, False
        self.facts: dict[str, StepFacts] = {}
        self.failure: TfoptError | None = None
        self.interrupts_drift = False
        self.during: Callable[[], object] = lambda: None

    def drifting(self, reference: Contestant, arms: Sequence[Contestant], **options: Any) -> Drifting:
        self.groups.append((reference.label, [arm.label for arm in arms]))
        labels = [reference.label, *(arm.label for arm in arms)]
        drifts = {label: drift(label, 0.0, reference=reference.label) for label in labels}
        facts = {label: facts for label, facts in self.facts.items() if label in labels}
        self.during()
        return Drifting(drifts, facts, "CPU", model=reference.model, interrupted=self.interrupts_drift)

    def duel(self, baseline: Contestant, arms: Sequence[Contestant], **rules: Any) -> DuelOutcome:
        self.arms, self.rules = [baseline.label, *(arm.label for arm in arms)], rules
        verdicts = self.verdicts or ["SLOWER"] * len(arms)
        measured = self.measured or None
        return DuelOutcome(
            timings=tuple(timing(label, measured) for label in self.arms),
            results=tuple(result(arm.label, verdict, 7.5, 0.3) for arm, verdict in zip(arms, verdicts, strict=True)),
            interrupted=self.interrupted,
            failure=self.failure,
            notes=(Note(message="the time is for that length"),),
        )


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> Workers:
    return Workers(monkeypatch)


def _compare(*variants: str, **options: Any) -> ComparisonRecord:
    return tfopt.compare("app:MobileNetV2", variants=variants, **options)


def test_the_baseline_comes_first_and_the_rest_of_the_time_is_the_duel_s(workers: Workers) -> None:
    record = _compare("xla", "graph", max_time=100.0, processes=3, tolerance=0.1, clock="cpu", seed=4)
    assert workers.arms == ["graph", "xla"]
    assert workers.groups == [("graph", ["xla"])]
    rules = workers.rules
    assert (rules["tolerance"], rules["clock"], rules["max_processes"], rules["seed"]) == (0.1, "cpu", 3, 4)
    assert rules["min_processes"] == 3
    assert 90 < rules["max_seconds"] <= 100
    assert (record.run.device, record.run.tolerance, record.baseline) == ("CPU", 0.1, "graph")


def test_a_slow_arm_is_told_with_its_cause_from_the_baseline_s_step(workers: Workers) -> None:
    workers.facts = {"graph": StepFacts(device="CPU", half_precision=(), facts=(DEPTHWISE,))}
    record = _compare("graph", "xla")
    assert record.verdict[0] == "nothing is faster here than graph"
    assert record.verdict[1].startswith("xla is 7.5 ± 0.3 × slower here: 17 depthwise convolutions")
    (xla,) = (arm for arm in record.arms if arm.label == "xla")
    assert [cause.layers for cause in xla.causes] == [()]


def test_causes_come_from_an_arm_s_own_step_where_it_was_traced(workers: Workers) -> None:
    casts = Fact(kind="half_casts", count=31, numbers={"bytes": 5e6})
    workers.facts = {
        "graph": StepFacts(device="CPU", half_precision=("float16",)),
        "mixed_float16": StepFacts(device="CPU", half_precision=("float16",), facts=(casts,)),
    }
    record = _compare("graph", "mixed_float16")
    assert "31 casts to and from half precision" in record.verdict[1]


def test_without_drift_only_time_is_measured(workers: Workers) -> None:
    record = _compare("graph", "xla", drift=False)
    assert workers.groups == []
    assert (record.drifts, record.run.device) == ((), "CPU")
    workers.measured = 0.0
    assert _compare("graph", "xla", drift=False).run.device == "auto"  # nothing ran anywhere


def test_ctrl_c_keeps_what_is_finished(workers: Workers) -> None:
    workers.interrupted = True
    record = _compare("graph", "xla")
    assert record.run.interrupted
    assert "interrupted" in record.notes[0].message
    assert "xla is 7.5 ± 0.3 × slower" in record.verdict[1]


def test_ctrl_c_before_anything_was_measured_leaves_nothing(workers: Workers) -> None:
    workers.interrupted, workers.measured, workers.verdicts = True, 0.0, ["NOT RUN"]
    with pytest.raises(KeyboardInterrupt):
        _compare("graph", "xla", drift=False)
    assert {drift.label for drift in _compare("graph", "xla").drifts} == {"graph", "xla"}  # which is something


def test_ctrl_c_keeps_the_drift_that_is_finished(workers: Workers) -> None:
    workers.interrupts_drift = True
    record = _compare("graph", "xla")
    assert record.run.interrupted
    assert {drift.label for drift in record.drifts} == {"graph", "xla"}
    assert workers.arms == []
    assert record.verdict == (
        "nothing could be compared with graph",
        "xla: not run, interrupted before it was measured",
    )
    assert [arm.rank for arm in record.arms] == [1, None]


def test_a_baseline_that_failed_later_is_told(workers: Workers) -> None:
    workers.failure = RunFailed("graph: the process was ended by signal 9 while measuring", "try again")
    record = _compare("graph", "xla")
    assert record.run.failure == workers.failure.message
    assert record.notes[0] == Note(message=f"measuring ended early: {workers.failure.message}", hint="try again")
    assert exit_code(record, strict=False) == 4
    workers.failure = None
    assert exit_code(_compare("graph", "xla"), strict=False) == 0


def test_what_there_is_to_say_of_the_steps_is_said(workers: Workers) -> None:
    assert "the time is for that length" in {note.message for note in _compare("graph", "xla").notes}


def test_a_file_that_changes_between_workers_is_no_file(workers: Workers, tmp_path: Path) -> None:
    samples = tmp_path / "s.npz"
    samples.write_bytes(b"one")
    assert _compare("graph", "xla", data=str(samples)).run.data == str(samples)
    workers.during = lambda: samples.write_bytes(b"another")
    with pytest.raises(InputError, match="changed while it was read"):
        _compare("graph", "xla", data=str(samples))


def test_everything_that_it_takes_to_repeat_it_is_in_the_record(workers: Workers) -> None:
    given: dict[str, Any] = {"processes": 7, "samples": 9, "input_shape": ["a=3"], "input_size": 96, "loss": "mse"}
    run = _compare("graph", "xla", optimizer="sgd", **given).run
    assert {name: getattr(run, name) for name in given} == {**given, "input_shape": ("a=3",)}
    assert run.optimizer == "sgd"


def test_causes_of_a_second_model_are_its_own(workers: Workers) -> None:
    workers.facts = {
        "app:MobileNetV2 graph": StepFacts(device="CPU", half_precision=(), facts=(DEPTHWISE,)),
        "app:ResNet50 graph": StepFacts(device="CPU", half_precision=(), facts=(Fact(kind="ops", count=3),)),
    }
    record = tfopt.compare(["app:MobileNetV2", "app:ResNet50"], variants=["graph", "xla", "eager"])
    causes = {arm.label: [cause.id for cause in arm.causes] for arm in record.arms}
    assert causes["app:MobileNetV2 xla"]
    assert (causes["app:ResNet50 xla"], causes["app:ResNet50 eager"]) == ([], ["eager"])
    del workers.facts["app:ResNet50 graph"]
    record = tfopt.compare(["app:MobileNetV2", "app:ResNet50"], variants=["graph", "xla"])
    assert [arm.causes for arm in record.arms if arm.model == "app:ResNet50"] == [(), ()]


def test_what_the_baseline_has_too_is_no_reason_to_be_slower_than_it(workers: Workers) -> None:
    called = Fact(kind="python_function", count=5)
    more = Fact(kind="python_function", count=6)
    workers.facts = {
        "graph": StepFacts(device="CPU", half_precision=(), facts=(called,)),
        "float32": StepFacts(device="CPU", half_precision=(), facts=(more,)),
    }
    record = _compare("graph", "eager", "float32")
    causes = {arm.label: [cause.message[:18] for cause in arm.causes] for arm in record.arms}
    assert causes == {"graph": ["5 Python functions"], "eager": [], "float32": ["6 Python functions"]}
    assert not any("5 Python functions" in sentence for sentence in record.verdict)


def test_models_of_one_name_are_numbered(workers: Workers) -> None:
    class Net:
        name, layers = "net", ()

        def save(self, path: Path) -> None:
            path.write_bytes(b"")

    with pytest.MonkeyPatch.context() as patch:
        source = ModelSource("m", "m", "keras", 1, "3.15.1")
        patch.setattr("tfopt.profiling.sources.identify", lambda path: replace(source, path=path))
        tfopt.compare([Net(), Net()])
    assert workers.arms == ["net 1 graph", "net 2 graph"]


def test_a_tolerance_near_the_duel_s_own_bias_is_told(workers: Workers) -> None:
    assert "a tolerance of 2.0 %" in _compare("graph", "xla", tolerance=0.02).notes[0].message
    assert "bias" not in " ".join(note.message for note in _compare("graph", "xla", tolerance=0.03).notes)


def test_a_bad_model_is_answered_before_any_worker(workers: Workers, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        tfopt.compare(["app:MobileNetV2", str(tmp_path / "absent.keras")])
    with pytest.raises(UsageError, match="int is not a model"):
        tfopt.compare(3)
    with pytest.raises(UsageError, match="there is no model"):
        tfopt.compare([])
    assert workers.groups == []


@pytest.mark.parametrize("rule", [{"tolerance": 0}, {"max_time": -1}, {"processes": 1}, {"clock": "gpu"}])
def test_rules_that_make_no_sense_are_answered_before_any_worker(workers: Workers, rule: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        _compare("graph", "xla", **rule)
    assert workers.groups == []


def test_an_object_that_cannot_be_saved(workers: Workers) -> None:
    class Unsaved:
        name, layers = "net", ()

        def save(self, path: Path) -> None:
            raise TypeError("Object of type Custom is not serializable\nmore")

    with pytest.raises(InputError, match="net cannot be saved for the workers: Object of type Custom") as caught:
        tfopt.compare(Unsaved())
    assert caught.value.hint == "save it yourself and compare the file"


def test_several_models_are_compared_with_the_first(workers: Workers) -> None:
    tfopt.compare(["app:MobileNetV2", "app:ResNet50"])
    assert workers.arms == ["app:MobileNetV2 graph", "app:ResNet50 graph"]
    assert workers.groups == [
        ("app:MobileNetV2 graph", ["app:ResNet50 graph"]),
        ("app:ResNet50 graph", []),
    ]


def test_what_two_drifts_of_an_arm_have_to_say_is_said_once(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    def drifting(reference: Contestant, arms: Sequence[Contestant], **options: Any) -> Drifting:
        found = Drifting()
        for label in (reference.label, *(arm.label for arm in arms)):
            found.failed(label, reference, "there was no time left for it")
        return found

    monkeypatch.setattr("tfopt.profiling.compare.drifting", drifting)
    notes = [note.message for note in tfopt.compare(["app:MobileNetV2", "app:ResNet50"]).notes]
    said = [note for note in notes if "not compared" in note]
    arms = "app:MobileNetV2 graph and app:ResNet50 graph"
    assert said == [f"what {arms} compute was not compared: there was no time left for it"]


def test_what_is_wrong_with_the_first_model_ends_it_at_once(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = Drifting(refusal=InputError("a SavedModel holds no training step", "use --mode infer"))
    monkeypatch.setattr("tfopt.profiling.compare.drifting", lambda *args, **options: refused)
    with pytest.raises(InputError, match="holds no training step"):
        _compare("graph", "xla")
    assert workers.arms == []
