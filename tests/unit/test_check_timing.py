"""The timing gates: verdicts from the log-ratios of processes, and how often they are wrong on simulated noise."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from tests.unit.duels_for_tests import (
    MAX_PROCESSES,
    MIN_PROCESSES,
    MODELS,
    TOLERANCE,
    Logs,
    sampled,
    samples,
)
from tfopt.checks.timing import noise_floor, self_test_gate, timing_gates, verdict
from tfopt.records.check import GateVerdict
from tfopt.records.check_settings import TimingSettings
from tfopt.records.duel import DuelResult, Verdict
from tfopt.workload.duel.standing import interval
from tfopt.workload.duel.statistics import decided, judge

# False FAIL at most, a slowdown of 10 % found at least, unchanged models INCONCLUSIVE at most.
WANTED = {"mild": (0.005, 0.99, 0.01), "shared": (0.01, 0.99, 0.10), "severe": (0.03, 0.95, 0.40)}
CHECKS = int(os.environ.get("TFOPT_SIMULATED_DUELS", "2000"))
SETTINGS = TimingSettings()
QUIET = [0.001, -0.001, 0.002, 0.0]


def result(cpu: Sequence[float], wall: Sequence[float] | None = None, **fields: Any) -> DuelResult:
    return DuelResult(
        label="m.keras",
        baseline="the baseline of m.keras",
        verdict=fields.pop("verdict", judge(cpu, TOLERANCE) if cpu else "NOT RUN"),
        clock=fields.pop("clock", "cpu"),
        tolerance=TOLERANCE,
        wall=interval(list(cpu if wall is None else wall), 6),
        cpu=interval(list(cpu), 6),
        resolvable=None,
        **fields,
    )


def gates(*args: Any, **options: Any) -> dict[str, GateVerdict]:
    found = timing_gates(*args, SETTINGS, **{"clocks": ("cpu", "wall"), **options})
    return {gate.fact: gate.verdict for gate in found}


@pytest.mark.parametrize(
    ("logs", "expected"),
    [
        ([0.10, 0.11, 0.09, 0.10], "FAIL"),
        ([0.01, -0.01, 0.0, 0.005], "PASS"),
        ([-0.10, -0.11, -0.09, -0.10], "IMPROVED"),
        ([0.03, 0.06, 0.045, 0.04], "INCONCLUSIVE"),
        ([0.3, -0.3, 0.2, 0.25], "INCONCLUSIVE"),
        ([-0.06, 0.03, -0.08, -0.03], "PASS"),  # it may be faster, and is surely not slower
        ([0.2], "INCONCLUSIVE"),
        ([math.log(1.05) - 1e-9] * 4, "PASS"),
        ([math.log(1.05) + 1e-9] * 4, "FAIL"),
    ],
)
def test_a_verdict(logs: list[float], expected: GateVerdict) -> None:
    assert verdict(logs, TOLERANCE) == expected


def test_what_differs_from_itself_as_much_is_no_failure() -> None:
    slower = [0.10, 0.11, 0.09, 0.10]
    assert verdict(slower, TOLERANCE, floor=0.08) == "FAIL"
    assert verdict(slower, TOLERANCE, floor=0.12) == "INCONCLUSIVE"
    noisy = result([0.1, -0.1, 0.12, -0.05])
    assert noise_floor(noisy, "cpu") == pytest.approx(0.2105, abs=1e-4)
    assert gates(result(slower), self_test=noisy)["cpu_time"] == "INCONCLUSIVE"
    assert gates(result(slower), self_test=result(QUIET))["cpu_time"] == "FAIL"


def test_a_self_test_without_an_interval_lets_nothing_fail_or_pass() -> None:
    alone = result([0.01])
    assert noise_floor(alone, "cpu") is None
    assert set(gates(result(QUIET), self_test=alone).values()) == {"INCONCLUSIVE"}
    assert self_test_gate(alone, SETTINGS).verdict == "ERROR"


def test_a_self_test_says_what_the_machine_can_tell() -> None:
    assert self_test_gate(result(QUIET), SETTINGS).verdict == "PASS"
    noisy = self_test_gate(result([0.1, -0.1, 0.12, -0.05]), SETTINGS)
    assert noisy.verdict == "INCONCLUSIVE"
    assert "up to 21.0 % apart" in noisy.message
    assert "tells a change of" in noisy.message


def test_lost_parallelism_shows_on_the_wall_clock_alone() -> None:
    assert gates(result(QUIET, [0.5, 0.52, 0.49, 0.51])) == {"cpu_time": "PASS", "wall_time": "FAIL"}
    assert gates(result(QUIET, [0.12, 0.1, 0.14, 0.11])) == {"cpu_time": "PASS", "wall_time": "PASS"}


def test_elsewhere_wall_time_has_the_narrow_tolerance() -> None:
    slower = result(QUIET, [0.12, 0.1, 0.14, 0.11], clock="wall")
    (gate,) = timing_gates(slower, SETTINGS, clocks=("wall",))
    assert (gate.name, gate.fact, gate.verdict, gate.limit) == ("tolerance", "wall_time", "FAIL", 1.05)


@pytest.mark.parametrize("ending", ["CRASHED", "HUNG", "REFUSED", "NOT RUN"])
def test_what_was_not_measured_is_an_error(ending: Verdict) -> None:
    logs = [] if ending == "NOT RUN" else QUIET
    found = timing_gates(result(logs, verdict=ending, reason="why"), SETTINGS, clocks=("cpu", "wall"))
    assert [(gate.verdict, gate.value, gate.message) for gate in found] == [("ERROR", None, "why")] * 2


def test_a_message_has_change_interval_limit_and_resolution() -> None:
    gate = timing_gates(result([0.10, 0.11, 0.09, 0.10]), SETTINGS, clocks=("cpu", "wall"))[0]
    assert gate.message == (
        "CPU time +10.5 % [+9.1 %, +12.0 %], more than the 5.0 % allowed; this machine tells a change of 6.4 %"
    )


def _checks(cpu: Logs, wall: Logs, slowdown: float) -> dict[str, float]:
    """How often a check of both clocks ends how, where the candidate is slower by `slowdown`."""
    shift = math.log1p(slowdown)
    ended = Counter(_check(*both) for both in zip((cpu + shift).tolist(), (wall + shift).tolist(), strict=True))
    return {kind: ended[kind] / len(cpu) for kind in ("FAIL", "INCONCLUSIVE", "PASS")}


def _check(cpu: list[float], wall: list[float]) -> str:
    count = 1
    while not decided(cpu[:count], TOLERANCE, MIN_PROCESSES, MAX_PROCESSES, one_sided=True):
        count += 1
    ended = set(gates(result(cpu[:count], wall[:count])).values())
    return next((kind for kind in ("FAIL", "INCONCLUSIVE") if kind in ended), "PASS")


def _noise(kind: str, what: str) -> tuple[Logs, Logs]:
    rng = np.random.default_rng(7)
    if what == "model":
        logs = MODELS[kind].logs(CHECKS, rng)
        return logs, logs
    wall, cpu = sampled(samples()[kind][what], CHECKS, rng)
    return cpu, wall


@pytest.mark.parametrize("what", ["model", "cnn", "mlp"])
@pytest.mark.parametrize("kind", WANTED)
def test_checks_on_simulated_noise(kind: str, what: str) -> None:
    alarms, found, unclear = WANTED[kind]
    noise = _noise(kind, what)
    equal, slower = (_checks(*noise, slowdown) for slowdown in (0.0, 0.10))
    shown = (
        f"| {kind} | {what} | {equal['FAIL']:.2%} | {equal['PASS']:.1%} | {equal['INCONCLUSIVE']:.1%} "
        f"| {slower['FAIL']:.1%} | {slower['PASS']:.2%} |"
    )
    print(shown)  # the table of docs/check.md: pytest -s
    assert equal["FAIL"] <= alarms, shown
    assert slower["FAIL"] >= found, shown
    assert equal["INCONCLUSIVE"] <= unclear, shown


@pytest.mark.parametrize("processes", [2, 3])
@pytest.mark.parametrize("kind", WANTED)
def test_a_check_that_runs_out_of_time_is_wrong_no_more_often(kind: str, processes: int) -> None:
    """It is INCONCLUSIVE instead."""
    logs = MODELS[kind].logs(CHECKS, np.random.default_rng(7))[:, :processes]
    assert _share("FAIL", logs) <= WANTED[kind][0]
    assert _share("PASS", logs + math.log1p(0.10)) <= 0.005


def _share(wanted: GateVerdict, logs: Logs) -> float:
    return sum(verdict(row, TOLERANCE) == wanted for row in logs.tolist()) / len(logs)
