"""`tfopt.compare` around its workers: what each is asked, and what becomes of what they find. No worker runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from comparisons_for_tests import drift, result, timing

import tfopt
from tfopt.errors import InputError, UsageError
from tfopt.records.advice import Fact, StepFacts
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

    def drifting(self, reference: Contestant, arms: Sequence[Contestant], **options: Any) -> Drifting:
        self.groups.append((reference.label, [arm.label for arm in arms]))
        labels = [reference.label, *(arm.label for arm in arms)]
        return Drifting({label: drift(label, 0.0, reference=reference.label) for label in labels}, self.facts, "CPU")

    def duel(self, baseline: Contestant, arms: Sequence[Contestant], **rules: Any) -> DuelOutcome:
        self.arms, self.rules = [baseline.label, *(arm.label for arm in arms)], rules
        verdicts = self.verdicts or ["SLOWER"] * len(arms)
        measured = self.measured or None
        return DuelOutcome(
            timings=tuple(timing(label, measured) for label in self.arms),
            results=tuple(result(arm.label, verdict, 7.5, 0.3) for arm, verdict in zip(arms, verdicts, strict=True)),
            interrupted=self.interrupted,
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
    assert (record.drifts, record.run.device) == ((), "auto")


def test_ctrl_c_keeps_what_is_finished(workers: Workers) -> None:
    workers.interrupted = True
    record = _compare("graph", "xla")
    assert record.run.interrupted
    assert "interrupted" in record.notes[0].message
    assert "xla is 7.5 ± 0.3 × slower" in record.verdict[1]


def test_ctrl_c_before_anything_was_measured_leaves_nothing(workers: Workers) -> None:
    workers.interrupted, workers.measured, workers.verdicts = True, 0.0, ["NOT RUN"]
    with pytest.raises(KeyboardInterrupt):
        _compare("graph", "xla")


def test_a_bad_model_is_answered_before_any_worker(workers: Workers, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        tfopt.compare(["app:MobileNetV2", str(tmp_path / "absent.keras")])
    with pytest.raises(UsageError, match="int is not a model"):
        tfopt.compare(3)
    with pytest.raises(UsageError, match="there is no model"):
        tfopt.compare([])
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


def test_what_is_wrong_with_the_first_model_ends_it_at_once(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = Drifting(refusal=InputError("a SavedModel holds no training step", "use --mode infer"))
    monkeypatch.setattr("tfopt.profiling.compare.drifting", lambda *args, **options: refused)
    with pytest.raises(InputError, match="holds no training step"):
        _compare("graph", "xla")
    assert workers.arms == []
