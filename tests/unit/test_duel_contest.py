"""Duels between scripted workers: real processes that speak the protocol, without TensorFlow."""

from __future__ import annotations

import re
import sys
import time
from typing import Any

import pytest

from tfopt.errors import InputError, RunFailed, UsageError
from tfopt.records.duel import DuelResult
from tfopt.report.progress import silent
from tfopt.workload.duel import BaselineHung, Contestant, DuelOutcome, contest, duel, listening
from tfopt.workload.duel.contest import not_fought
from tfopt.workload.duel.messages import Pair
from tfopt.workload.duel.rules import Rules
from tfopt.workload.options import Options

# Acts by label: `2.5` is that many times slower than the baseline (`early` where above 2), a word does what it says.
SCRIPT = """
import json, os, signal, sys, time
task = json.loads(sys.stdin.readline())
noise = sum(map(ord, task["seed"])) % 7 / 1000
def say(type, label, **fields):
    print(json.dumps({"type": type, "label": label, **fields}), flush=True)
def act(label, phase):
    say("Doing", label, phase=phase)
    word, when, since, *_ = label.split("@") + ["", ""]
    if when != phase or (since[:4] == "from" and int(task["seed"].split()[1]) < int(since[4:])):
        return
    if word == "crash":
        print("the last words", file=sys.stderr, flush=True)
        os.kill(os.getpid(), signal.SIGSEGV)
    if word == "exit":
        os._exit(0)
    if word == "hang":
        time.sleep(100)
    while word == "spin":
        pass
    if word == "slow":
        time.sleep(0.4)
    if word in ("InputError", "StepUnsound"):
        say("Refused", label, kind=word, message="no good", hint="mend it")
        return True
say("Doing", "", phase="loading TensorFlow")
for arm in [task["baseline"], *task["arms"]]:
    label = arm["label"]
    if act(label, "loading"):
        if arm is task["baseline"]:
            sys.exit()
        continue
    act(label, "compiling")
    on_cpu = arm["device"] != "gpu"
    say("Ready", label, prepare_s=0.1, compile_s=0.2, examples=arm["options"]["batch_size"] or 32, on_cpu=on_cpu,
        notes=[{"message": "the same of all"}])
    if arm is task["baseline"]:
        continue
    act(label, "measuring")
    ratio = float(label.rstrip("'")) if label[0].isdigit() else 1.0
    for pair in range(2 if ratio > 2 else task["pairs"]):
        say("Pair", label, baseline=[1.0, 2.0], arm=[ratio * (1 + noise), 2 * ratio])
    say("Done", label, early=ratio > 2)
time.sleep(100)
"""
COMMAND = (sys.executable, "-c", SCRIPT)


@pytest.fixture(autouse=True)
def scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contest, "_COMMAND", COMMAND)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """A minute for all, of which silence gets two seconds: a slow start of a process is then no end of the time."""
    monkeypatch.setattr(listening, "_OF_REST", 0.0)
    monkeypatch.setattr(listening, "_OF_ALL", 1 / 30)
    return {"max_seconds": 60.0}


def _contestant(label: str, **options: Any) -> Contestant:
    return Contestant(label, "app:MobileNetV2", Options(**options))


def _duel(*labels: str, baseline: str = "base", **options: Any) -> DuelOutcome:
    return duel(_contestant(baseline), [_contestant(label) for label in labels], **options)


def _verdicts(outcome: DuelOutcome) -> dict[str, str]:
    return {result.label: result.verdict for result in outcome.results}


def test_every_arm_gets_its_verdict() -> None:
    outcome = _duel("1.0", "1.2", "0.8", "7.5")
    assert _verdicts(outcome) == {"1.0": "SAME", "1.2": "SLOWER", "0.8": "FASTER", "7.5": "SLOWER"}
    same, _, _, gross = outcome.results
    assert same.wall is not None
    assert same.cpu is not None
    assert gross.wall is not None
    assert (same.wall.processes, same.wall.pairs, gross.wall.processes, gross.wall.pairs) == (4, 24, 3, 6)
    assert same.cpu.ratio == 1.0
    assert (gross.early, same.early) == (True, False)
    assert "stopped early" in gross.reason
    assert same.resolvable == pytest.approx(1.05 * same.wall.high / same.wall.ratio - 1)  # type: ignore[operator]
    assert (same.ended, gross.ended) == ("decided", "decided")
    base, *arms = outcome.timings
    assert (base.label, base.wall_ms, base.cpu_ms, base.blocks) == ("base", 32.0, 64.0, 24 * 3 + 6)
    assert [arm.cpu_ms for arm in arms] == pytest.approx([64.0, 76.8, 51.2, 480.0])
    assert not outcome.interrupted
    assert [note.message for note in outcome.notes] == ["the same of all"]


def test_a_crash_a_hang_and_a_refusal_are_verdicts_of_their_own(impatient: dict[str, float]) -> None:
    arms = [
        "crash@measuring",
        "1.0",
        "hang@compiling",
        "exit@loading",
        "InputError@loading",
        "StepUnsound@loading",
        "1.2",
    ]
    outcome = _duel(*arms, **impatient, max_processes=4)
    reasons = {result.label: result.reason for result in outcome.results}
    assert _verdicts(outcome) == {
        "crash@measuring": "CRASHED",
        "1.0": "SAME",
        "hang@compiling": "HUNG",
        "exit@loading": "CRASHED",
        "InputError@loading": "REFUSED",
        "StepUnsound@loading": "CRASHED",
        "1.2": "SLOWER",
    }
    assert {result.ended for result in outcome.results if result.verdict in ("CRASHED", "HUNG", "REFUSED")} == {
        "failed"
    }
    signalled = "the process was ended by signal 11 (Segmentation fault): the last words while measuring"
    assert reasons["crash@measuring"] == signalled
    assert reasons["exit@loading"] == "the process ended with exit code 0 while loading"
    assert reasons["InputError@loading"] == "no good (mend it)"
    assert reasons["hang@compiling"].startswith("no answer for ")
    assert all(result.wall is None for result in outcome.results if result.verdict in ("CRASHED", "HUNG", "REFUSED"))


@pytest.mark.parametrize(
    ("baseline", "kind", "words"),
    [
        ("InputError@loading", InputError, "no good"),
        ("StepUnsound@loading", RunFailed, "no good"),
        ("crash@compiling", RunFailed, "crash@compiling: the process was ended by signal 11"),
        ("hang@loading", BaselineHung, "hang@loading: no answer for 2 s while loading"),
    ],
)
def test_without_a_baseline_there_is_no_duel(
    baseline: str, kind: type[Exception], words: str, impatient: dict[str, float]
) -> None:
    with pytest.raises(kind) as raised:
        _duel("1.0", baseline=baseline, **impatient)
    assert str(raised.value).startswith(words)


@pytest.mark.parametrize("baseline", ["crash@compiling@from3", "InputError@loading@from3"])
def test_a_baseline_that_fails_later_does_not_cost_what_is_finished(baseline: str) -> None:
    told: list[DuelResult] = []
    outcome = _duel("1.0", "7.5", "exit@loading", baseline=baseline, on_result=told.append)
    assert [(result.verdict, result.ended) for result in outcome.results] == [
        ("SAME", "failed"),
        ("SLOWER", "failed"),
        ("CRASHED", "failed"),
    ]
    assert [result.wall.processes for result in outcome.results if result.wall] == [2, 2]
    assert isinstance(outcome.failure, InputError if baseline.startswith("Input") else RunFailed)
    assert len(told) == 3
    assert _duel("1.0").failure is None


def test_why_measuring_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _duel("1.05", max_processes=4, tolerance=0.06).results[0].ended == "decided"
    assert _duel("1.0", "slow@measuring", max_seconds=2.0, min_processes=12).results[1].ended == "time"
    noisy = SCRIPT.replace("% 7 / 1000", "% 7 / 20")
    monkeypatch.setattr(contest, "_COMMAND", (sys.executable, "-c", noisy))
    (result,) = _duel("1.0", min_processes=2, max_processes=3, clock="wall").results
    assert (result.verdict, result.ended) == ("INCONCLUSIVE", "processes")


def test_a_duel_that_was_not_fought() -> None:
    outcome = not_fought(_contestant("base"), [_contestant("1.0")], tolerance=0.05)
    assert outcome.interrupted
    assert [timing.label for timing in outcome.timings] == ["base", "1.0"]
    (result,) = outcome.results
    assert (result.verdict, result.ended, result.reason) == (
        "NOT RUN",
        "interrupted",
        "interrupted before it was measured",
    )


def test_a_worker_that_cannot_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contest, "_COMMAND", (sys.executable, "-c", "import nothing_of_the_kind"))
    with pytest.raises(RunFailed, match=r"a worker process: .*ModuleNotFoundError: No module named"):
        _duel("1.0")


def test_the_time_is_kept_and_used() -> None:
    started = time.monotonic()
    outcome = _duel("1.0", "slow@measuring", max_seconds=2.5, min_processes=12)
    took = time.monotonic() - started
    assert took < 2.5
    fast, slow = (result.wall.processes for result in outcome.results if result.wall)
    assert 1 <= slow <= 5
    assert fast >= slow


def test_the_order_of_arms() -> None:
    stages: list[str] = []
    _duel("7.5", "1.0", "1.2", progress=lambda stage, done: stages.append(stage))
    loading = [stage.removesuffix(", loading").split()[1:] for stage in stages if stage.endswith(", loading")]
    orders = [[label for worker, label in loading if worker.startswith(f"{number}/")] for number in (1, 2, 3)]
    assert orders == [["base", "7.5", "1.0", "1.2"], ["base", "7.5", "1.0", "1.2"], ["base", "7.5", "1.2", "1.0"]]


@pytest.mark.parametrize(
    ("finished", "left_s", "chosen"),
    [
        ({"eager": 2, "xla": 2, "half": 2}, 68.0, ["xla"]),  # it alone is asked for three, and needs no fourth
        ({"eager": 1, "xla": 2, "half": 1}, 68.0, ["eager", "half"]),  # one process gives no interval
        ({"eager": 3, "xla": 3, "half": 2}, 68.0, ["half", "eager"]),
        ({"eager": 2, "xla": 2, "half": 2}, 20.0, []),
    ],
)
def test_what_time_is_left_goes_where_it_tells_most(finished: dict[str, int], left_s: float, chosen: list[str]) -> None:
    """Seconds as on a network whose XLA is slow: a worker for all takes 90, and 68 are left."""
    fight = contest._Contest(
        _contestant("graph"), [_contestant(label) for label in finished], Rules(0.05, None, 300.0, 4, 12, 0), silent
    )
    fight._deadline = time.monotonic() + left_s
    fight._baseline.cost_s = 17.0
    pair = Pair("", (1.0, 1.0), (1.0, 1.0))
    for label, cost_s in {"eager": 18.0, "xla": 38.0, "half": 17.0}.items():
        standing = fight._arms[label]
        standing.cost_s, standing.processes = cost_s, [(pair,)] * finished[label]
        standing.early = [label == "xla"] * finished[label]
    assert [standing.label for standing in fight._chosen(3)] == chosen


def test_what_still_computes_is_not_called_hung(impatient: dict[str, float]) -> None:
    spin, hang = _duel("spin@compiling", "hang@compiling", **impatient).results
    assert (spin.verdict, hang.verdict) == ("NOT RUN", "HUNG")
    assert (spin.ended, hang.ended) == ("time", "failed")
    assert re.fullmatch(r"still at work after \d s, which may need a longer time, while compiling", spin.reason)
    assert re.fullmatch(r"no answer for \d s while compiling", hang.reason)


def test_an_arm_whose_turn_does_not_come() -> None:
    outcome = _duel(*(f"slow@measuring@{number}" for number in range(8)), max_seconds=3.0)
    first, *_, last = outcome.results
    assert first.wall is not None
    assert (last.verdict, last.reason) == ("NOT RUN", "the time of 3 s was over before it was measured")
    assert last.wall is None


def test_results_are_told_when_they_are_final() -> None:
    told: list[DuelResult] = []
    stages: list[str] = []
    outcome = _duel(
        "1.0", "7.5", "crash@loading", on_result=told.append, progress=lambda stage, done: stages.append(stage)
    )
    assert [result.label for result in told] == ["crash@loading", "7.5", "1.0"]
    assert {result.label: result for result in told} == {result.label: result for result in outcome.results}
    assert stages[0] == "worker 1/12: loading TensorFlow"
    assert "worker 4/12: 1.0, measuring" in stages


def test_ctrl_c_keeps_what_is_finished() -> None:
    def interrupt(stage: str, done: float | None) -> None:
        if stage == "worker 3/12: 1.2, measuring":
            raise KeyboardInterrupt

    outcome = _duel("7.5", "1.2", progress=interrupt)
    assert outcome.interrupted
    assert _verdicts(outcome) == {"7.5": "SLOWER", "1.2": "SLOWER"}
    assert [result.wall.processes for result in outcome.results if result.wall] == [3, 2]
    outcome = _duel("1.2", progress=lambda stage, done: interrupt("worker 3/12: 1.2, measuring", done))
    assert outcome.results[0].verdict == "NOT RUN"
    assert outcome.results[0].reason == "interrupted before it was measured"
    assert outcome.timings[0].wall_ms is None


def test_clocks() -> None:
    with pytest.raises(UsageError, match="CPU time says nothing"):
        duel(Contestant("base", "app:MobileNetV2", Options(), device="gpu"), [_contestant("1.0")], clock="cpu")
    same, other = duel(
        _contestant("base"),
        [_contestant("1.0"), Contestant("1.0'", "app:MobileNetV2", Options(), device="gpu")],
        clock="cpu",
    ).results
    assert (same.clock, same.verdict) == ("cpu", "SAME")
    assert (other.verdict, "CPU time says nothing" in other.reason) == ("REFUSED", True)


@pytest.mark.parametrize("device", ["gpu", "auto"])
def test_cpu_time_judges_only_what_runs_on_the_cpu_on_both_sides(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    noisy = SCRIPT.replace("% 7 / 1000", "% 7 / 20")
    monkeypatch.setattr(contest, "_COMMAND", (sys.executable, "-c", noisy))
    baseline = Contestant("base", "app:MobileNetV2", Options(), device=device)
    (result,) = duel(baseline, [_contestant("1.0")], max_processes=4).results
    assert result.clock == ("wall" if device == "gpu" else "cpu")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"tolerance": 0.0}, "tolerance"),
        ({"tolerance": 1.0}, "tolerance"),
        ({"clock": "gpu"}, "there is no clock 'gpu'"),
        ({"max_seconds": 0.0}, "cannot take 0.0 s"),
        ({"min_processes": 1}, "1 to 12 processes"),
        ({"min_processes": 5, "max_processes": 4}, "5 to 4 processes"),
    ],
)
def test_rules_that_make_no_sense(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        _duel("1.0", **options)


def test_contestants_that_make_no_sense() -> None:
    with pytest.raises(UsageError, match=r"2 contestants are called '1\.0'"):
        _duel("1.0", "1.0")
    with pytest.raises(UsageError, match="a name of its own"):
        _duel("")
    with pytest.raises(UsageError, match="nothing to compare"):
        _duel()
    with pytest.raises(UsageError, match="numbers of threads"):
        duel(_contestant("a"), [Contestant("b", "app:MobileNetV2", Options(), threads=1)])
    with pytest.raises(InputError, match="no such file"):
        duel(Contestant("a", "missing.keras", Options()), [_contestant("b")])
