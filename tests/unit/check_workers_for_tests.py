"""Workers that stand for whatever runs a model in a check: what each is asked, and finds as a test wants it."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from tests.unit.test_check_accuracy import drift, output
from tests.unit.test_check_timing import result
from tfopt.checks.failure import Failure
from tfopt.records.facts import LayerFacts, ModelFacts
from tfopt.workload.drift.drifting import Drifting
from tfopt.workload.duel import Contestant, DuelOutcome

SAME, SLOWER = [0.0, 0.001, -0.001, 0.002], [0.2, 0.21, 0.19, 0.2]


class Workers:
    """Stands for whatever runs a model."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for place in ("running.duel", "running.drifting", "counting.facts_of"):
            monkeypatch.setattr(f"tfopt.checks.{place}", getattr(self, place.partition(".")[2]))
        self.said: list[tuple[str, ...]] = []
        self.params: dict[str, float | Failure] = {}
        self.logs: dict[str, list[float]] = {}
        self.drift = drift(output())
        self.hung = False
        self.fails: Exception | None = None
        self.ctrl_c_at = ""
        self.rules: dict[str, Any] = {}
        self.during: Callable[[], object] = lambda: None

    def facts_of(
        self,
        sides: Sequence[Contestant],
        names: Mapping[str, Sequence[str]],
        seconds: float,
        progress: object,
        found: dict[str, ModelFacts | Failure] | None = None,
    ) -> dict[str, ModelFacts | Failure]:
        if sides:
            self.said.append(("facts", *(side.label for side in sides)))
        found = {} if found is None else found
        for side in sides:
            if side.label == self.ctrl_c_at:
                raise KeyboardInterrupt
            count = self.params.get(side.label, 100.0)
            found[side.label] = count if isinstance(count, Failure) else facts(count)
        return found

    def drifting(self, reference: Contestant, arms: Sequence[Contestant], **options: Any) -> Drifting:
        self.said.append(("drift", reference.label, arms[0].label, arms[0].options.mode))
        self.during()
        return Drifting({reference.label: drift(output()), arms[0].label: self.drift}, hung=self.hung)

    def duel(self, baseline: Contestant, arms: Sequence[Contestant], **rules: Any) -> DuelOutcome:
        self.said.append(("duel", baseline.label, arms[0].label))
        self.rules = rules
        if self.fails is not None:
            raise self.fails
        interrupted = arms[0].label == self.ctrl_c_at
        return DuelOutcome((), (result(self.logs.get(arms[0].label, SAME)),), interrupted=interrupted)


def facts(params: float) -> ModelFacts:
    layer = LayerFacts(path="model/dense", type="Dense", values={"params": params, "step_flops": 6 * params})
    return ModelFacts(values={"params": params, "step_flops": 6 * params}, dtypes={}, layers=(layer,), cost_s={})


def write_models(*names: str) -> None:
    """Files that look like Keras's."""
    for name in names:
        with zipfile.ZipFile(f"{name}.keras", "w") as file:
            file.writestr("config.json", '{"module": "keras", "class_name": "Sequential", "config": {"layers": []}}')
            file.writestr("metadata.json", '{"keras_version": "3.15.0"}')
            file.writestr("model.weights.h5", b"\x89HDF\r\n\x1a\n" + bytes(100))
