"""The parent of the drift workers: real processes that speak the protocol, without TensorFlow."""

from __future__ import annotations

import functools
import sys
import time

import pytest

from tfopt.workload.drift import drifting as home
from tfopt.workload.drift.drifting import NO_TIME, Drifting, drifting
from tfopt.workload.duel import Contestant
from tfopt.workload.options import Options
from tfopt.workload.workers.process import worker

SCRIPT = """
import json, sys, time
task = json.loads(sys.stdin.readline())
def say(type, label, **fields):
    print(json.dumps({"type": type, "label": label, **fields}), flush=True)
for contestant in [task["reference"], *task["arms"]]:
    label = contestant["label"]
    say("Doing", label, phase="computing")
    if label == "crash":
        sys.exit(3)
    while label == "spin":
        pass
    if label == "hang":
        time.sleep(100)
    say("Drifted", label, drift={"label": label, "reference": "graph", "batch_size": 16})
time.sleep(100)
"""


@pytest.fixture(autouse=True)
def scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    def started(task: object, command: object, kind: object) -> object:
        return worker(task, (sys.executable, "-c", SCRIPT), kind)

    monkeypatch.setattr(home, "worker", started)


def _drifting(*labels: str, interrupted_at: str = "", seconds: float = 30.0) -> Drifting:
    def progress(stage: str, done: float | None) -> None:
        if stage == f"{interrupted_at}: computing":
            raise KeyboardInterrupt

    reference, *arms = (Contestant(label, "m.keras", Options(xla=label == "xla")) for label in ("graph", *labels))
    limits = functools.partial(drifting, samples=1, metric_seconds=1.0, deadline=time.monotonic() + seconds)
    return limits(reference, arms, progress=progress)


def test_an_arm_that_dies_costs_the_others_nothing() -> None:
    found = _drifting("crash", "xla")
    assert {label: bool(drift.failure) for label, drift in found.drifts.items()} == {
        "graph": False,
        "crash": True,
        "xla": False,
    }
    assert (found.model, found.interrupted) == ("m.keras", False)


@pytest.mark.parametrize(("label", "seconds"), [("spin", 0.5), ("hang", 1.5)])  # the latter has to sleep by then
def test_where_the_time_is_over_it_tells_what_hung_from_what_still_computed(label: str, seconds: float) -> None:
    found = _drifting(label, seconds=seconds)
    assert (found.drifts[label].failure, found.hung) == (NO_TIME, label == "hang")


def test_what_compiles_longest_comes_last() -> None:
    assert list(_drifting("xla", "eager", "half").drifts) == ["graph", "eager", "half", "xla"]


def test_ctrl_c_keeps_what_is_finished() -> None:
    found = _drifting("half", "eager", interrupted_at="eager")
    assert found.interrupted
    assert {label: drift.failure for label, drift in found.drifts.items()} == {
        "graph": "",
        "half": "",
        "eager": "interrupted before it was",
    }
