"""How often a duel is wrong, and how often it finds what is there: simulated, with seeds, at the default tolerance."""

from __future__ import annotations

import os

import numpy as np
import pytest

from tests.unit.duels_for_tests import MODELS, SAMPLES, TOLERANCE, Logs, log_ratios, rates, sampled, samples
from tfopt.records.duel import Clock

# The most often that equal models may come out SLOWER or FASTER, the least often that one 10 % slower must be found.
WANTED = {"mild": (0.005, 0.99), "shared": (0.01, 0.99), "severe": (0.03, 0.95)}
DUELS = int(os.environ.get("TFOPT_SIMULATED_DUELS", "2000"))


def _holds(kind: str, what: str, wall: Logs, cpu: Logs, clock: Clock | None) -> None:
    alarms, found = WANTED[kind]
    equal, slower = (rates(wall, cpu, slowdown, clock) for slowdown in (0.0, 0.10))
    shown = (
        f"| {kind} | {what} | {clock or 'either'} | {equal['SLOWER'] + equal['FASTER']:.2%} | {equal['SAME']:.1%} "
        f"| {equal['processes']:.1f} | {slower['SLOWER']:.1%} | {slower['processes']:.1f} |"
    )
    print(shown)  # the table of docs/duel.md: pytest -s
    assert equal["SLOWER"] + equal["FASTER"] <= alarms, shown
    assert slower["SLOWER"] >= found, shown


@pytest.mark.parametrize("kind", WANTED)
def test_modelled_noise(kind: str) -> None:
    logs = MODELS[kind].logs(DUELS, np.random.default_rng(7))
    _holds(kind, "model", logs, logs, "wall")


@pytest.mark.parametrize("clock", ["wall", "cpu", None])
@pytest.mark.parametrize("network", ["cnn", "mlp"])
@pytest.mark.parametrize("kind", WANTED)
def test_measured_noise(kind: str, network: str, clock: Clock | None) -> None:
    _holds(kind, network, *sampled(samples()[kind][network], DUELS, np.random.default_rng(7)), clock)


def test_the_samples_are_no_more_than_a_repository_should_hold() -> None:
    assert SAMPLES.stat().st_size < 60_000
    assert all(len(processes) >= 12 for kind in samples().values() for processes in kind.values())


@pytest.mark.parametrize("network", ["cnn", "mlp"])
@pytest.mark.parametrize("kind", WANTED)
def test_the_side_that_is_loaded_first_has_no_advantage_that_matters(kind: str, network: str) -> None:
    """The simulation takes processes either way round, so that it would not see one."""
    medians = [np.median(log_ratios(pairs)[:, 1]) for pairs in samples()[kind][network]]
    assert abs(np.mean(medians)) < TOLERANCE / 2
