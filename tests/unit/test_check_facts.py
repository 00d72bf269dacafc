"""The parent of the census: real processes that speak the protocol, without TensorFlow."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tfopt.checks import facts as home
from tfopt.checks.facts import facts_of
from tfopt.checks.failure import MORE_TIME, Failure
from tfopt.errors import UsageError
from tfopt.records.fact_kinds import COSTLY, FACTS, LIMITS, facts_for
from tfopt.records.facts import ModelFacts
from tfopt.workload.options import Options
from tfopt.workload.workers.contestant import Contestant
from tfopt.workload.workers.process import worker

# Each label is what happens to the process there.
SCRIPT = """
import json, os, sys, time
task = json.loads(sys.stdin.readline())
open(os.environ["STARTS"], "a").write("x")
def say(type, label, **fields):
    print(json.dumps({"type": type, "label": label, **fields}), flush=True)
say("Doing", "", phase="loading TensorFlow")
if os.environ.get("BROKEN"):
    sys.exit("no TensorFlow")
for asked in task["asked"]:
    label = asked["contestant"]["label"]
    say("Doing", label, phase="finding params")
    if label == "crash":
        os.abort()
    elif label == "killed":
        os.kill(os.getpid(), 9)
    elif label.startswith("hang"):
        time.sleep(100)
    elif label == "spin":
        while True:
            pass
    elif label in ("InputError", "UsageError", "RunFailed"):
        say("Refused", label, kind=label, message="what", hint="how")
    else:
        say("Counted", label, facts={"values": {"params": len(asked["names"])}, "dtypes": {}, "cost_s": {}})
"""


@pytest.fixture(autouse=True)
def starts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A file with one letter for each process that was started."""

    def started(task: object, command: object, kind: object) -> object:
        return worker(task, (sys.executable, "-c", SCRIPT), kind)

    monkeypatch.setattr(home, "worker", started)
    monkeypatch.setenv("STARTS", str(tmp_path / "starts"))
    return tmp_path / "starts"


def _facts(*labels: str, seconds: float = 30.0, **options: Any) -> dict[str, ModelFacts | Failure]:
    subjects = [Contestant(label, f"{label}.keras", Options()) for label in labels]
    return facts_of(subjects, dict.fromkeys(labels, ("params", "file_bytes")), seconds, **options)


def _ending(found: ModelFacts | Failure) -> str:
    return found.ending if isinstance(found, Failure) else "found"


def test_a_crash_is_one_models_own_and_the_others_are_still_found(starts: Path) -> None:
    found = _facts("a", "crash", "b", "killed", "InputError", "c", "RunFailed")
    assert {label: _ending(one) for label, one in found.items()} == {
        "a": "found",
        "crash": "crashed",
        "b": "found",
        "killed": "crashed",
        "InputError": "unreadable",
        "c": "found",
        "RunFailed": "crashed",
    }
    assert list(found) == ["a", "crash", "b", "killed", "InputError", "c", "RunFailed"]
    assert starts.read_text() == "xxx"  # a fresh one after each death, and no other
    killed = found["killed"]
    assert isinstance(killed, Failure)
    assert killed.message.startswith("finding params: the process was ended by signal 9 (Killed; memory may have run")
    assert {_ending(one): one.exit_code for one in found.values() if isinstance(one, Failure)} == {
        "crashed": 4,
        "unreadable": 3,
    }


def test_what_hangs_is_ended_and_said_and_leaves_time_for_the_rest(starts: Path) -> None:
    began = time.monotonic()
    found = _facts("hang", "hang too", "a", seconds=3.0)
    assert time.monotonic() - began < 3.0
    assert [_ending(one) for one in found.values()] == ["hung", "hung", "found"]
    alone = "see whether it loads alone: tfopt inspect hang.keras"
    assert found["hang"] == Failure("hung", "finding params: no end after 1 s", alone)


def test_what_still_computes_when_its_time_is_over_is_not_called_hung() -> None:
    found = _facts("spin", seconds=1.0)["spin"]
    assert isinstance(found, Failure)
    assert (found.ending, found.exit_code, found.hint) == ("", 4, MORE_TIME)
    assert re.fullmatch(r"finding params: still at work after \d s, which may need a longer time", found.message)


def test_ctrl_c_leaves_what_was_found() -> None:
    def progress(stage: str, done: float | None) -> None:
        if stage.startswith("b:"):
            raise KeyboardInterrupt

    found: dict[str, ModelFacts | Failure] = {}
    with pytest.raises(KeyboardInterrupt):
        _facts("a", "b", "c", progress=progress, found=found)
    assert list(found) == ["a"]


def test_where_the_time_ends_before_any_model_none_has_hung() -> None:
    failure = _facts("a", seconds=0.0)["a"]
    assert isinstance(failure, Failure)
    assert (failure.ending, failure.exit_code) == ("", 4)


def test_where_tensorflow_is_broken_every_model_says_so_after_one_attempt(
    starts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BROKEN", "1")
    found = _facts("a", "b")
    assert [_ending(one) for one in found.values()] == ["crashed", "crashed"]
    assert starts.read_text() == "x"


def test_wrong_usage_is_raised() -> None:
    with pytest.raises(UsageError, match="what"):
        _facts("a", "UsageError")


def test_costly_facts_are_found_where_a_limit_asks_for_them() -> None:
    cheap = facts_for(())
    assert not COSTLY & set(cheap)
    assert {*facts_for(("max_fusions_increase", "max_params", "dtypes"))} - {*cheap} == {"fusions"}


def test_limits_go_the_way_that_is_better() -> None:
    assert {limit.fact.name for limit in LIMITS.values()} == FACTS.keys()
    assert {"max_params", "min_sparsity", "max_params_increase", "max_sparsity_decrease"} <= LIMITS.keys()
    assert not {"max_sparsity_increase", "max_params_decrease"} & LIMITS.keys()
