"""Duels without processes: noise, as measured on a machine or as a model of it, decided by the duel's own functions."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfopt.records.duel import Clock, Verdict
from tfopt.workload.duel.statistics import decided, judge, telling_clock

SAMPLES = Path(__file__).resolve().parents[1] / "data" / "aa-samples.json"
MIN_PROCESSES, MAX_PROCESSES, TOLERANCE = 4, 12, 0.05
PAIRS, CALLS = 6, 5
Logs = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Noise:
    """Noise of one call on the log scale: a slow drift (Ornstein-Uhlenbeck, `drift` and its correlation in calls), a
    neighbour that comes (`on`, per call) and goes (`off`) and slows everything by `slows`, half-normal jitter, Pareto
    spikes; and what one process has against the other model in it for as long as it lives (`layout`).
    """

    drift: float
    correlation: float
    slows: float
    on: float
    off: float
    jitter: float
    spike_share: float
    spike: float
    layout: float

    def logs(self, duels: int, rng: np.random.Generator) -> Logs:
        """Median log-ratios of two equal models, (duels, MAX_PROCESSES), from PAIRS pairs of CALLS calls a side."""
        processes = duels * MAX_PROCESSES
        calls = self._calls(processes, PAIRS * 2 * CALLS, rng)
        blocks = calls.reshape(processes, PAIRS, 2, CALLS).min(axis=3)
        sign = rng.choice((-1.0, 1.0), (processes, PAIRS))
        layout = rng.normal(0.0, self.layout, (processes, 2))
        medians = np.median(sign * (blocks[..., 1] - blocks[..., 0]), axis=1)
        return (medians + layout[:, 1] - layout[:, 0]).reshape(duels, MAX_PROCESSES)

    def _calls(self, processes: int, calls: int, rng: np.random.Generator) -> Logs:
        keeps = math.exp(-1 / self.correlation)
        drift = rng.normal(0.0, self.drift, processes)
        slowed = rng.random(processes) < self.on / (self.on + self.off)
        noise = np.empty((processes, calls))
        for call in range(calls):
            drift = keeps * drift + rng.normal(0.0, self.drift * math.sqrt(1 - keeps**2), processes)
            chance = rng.random(processes)
            slowed = np.where(slowed, chance >= self.off, chance < self.on)
            noise[:, call] = drift + slowed * math.log(self.slows)
        noise += np.abs(rng.normal(0.0, self.jitter, noise.shape))
        spikes = np.log1p(self.spike * rng.pareto(1.5, noise.shape))
        return noise + np.where(rng.random(noise.shape) < self.spike_share, spikes, 0.0)


# A dedicated virtual machine, a usual hosted runner, a crowded machine of two cores.
MODELS = {
    "mild": Noise(0.02, 60, 1.10, 1 / 300, 1 / 30, 0.010, 0.02, 0.10, 0.005),
    "shared": Noise(0.04, 40, 1.25, 1 / 150, 1 / 30, 0.025, 0.05, 0.10, 0.010),
    "severe": Noise(0.10, 20, 1.8, 1 / 40, 1 / 25, 0.08, 0.15, 0.25, 0.020),
}


def sampled(processes: list[list[list[int]]], duels: int, rng: np.random.Generator) -> tuple[Logs, Logs]:
    """Median log-ratios by wall and CPU clock, (duels, MAX_PROCESSES) each, of measured pairs of equal models.

    Processes are drawn again from those measured, each the one way round or the other, and for each its pairs again
    from its own.
    """
    which = rng.integers(0, len(processes), duels * MAX_PROCESSES)
    drawn = np.empty((2, len(which)))
    for number, pairs in enumerate(processes):
        ratios, chosen = log_ratios(pairs), which == number
        again = rng.integers(0, len(ratios), (np.count_nonzero(chosen), len(ratios)))
        drawn[:, chosen] = np.median(ratios[again], axis=1).T
    wall, cpu = (rng.choice((-1.0, 1.0), len(which)) * drawn).reshape(2, duels, MAX_PROCESSES)
    return wall, cpu


def log_ratios(pairs: list[list[int]]) -> Logs:
    """(pairs, 2): log(A' / A) by wall and by CPU clock."""
    times = np.asarray(pairs, float)
    return np.log(times[:, 2:] / times[:, :2])


def samples() -> dict[str, dict[str, list[list[list[int]]]]]:
    """Kind of noise → network → process → pair, as `bench.duel --collect` wrote them."""
    read: dict[str, dict[str, list[list[list[int]]]]] = json.loads(SAMPLES.read_text())
    return read


def play(wall: Sequence[float], cpu: Sequence[float], clock: Clock | None) -> tuple[Verdict, int]:
    """The verdict of a duel whose processes would show these log-ratios, and how many of them it asked for."""
    count = 1
    while not decided((cpu if clock == "cpu" else wall)[:count], TOLERANCE, MIN_PROCESSES, MAX_PROCESSES):
        count += 1
    by = clock or telling_clock(wall[:count], cpu[:count], TOLERANCE)
    return judge((cpu if by == "cpu" else wall)[:count], TOLERANCE), count


def rates(wall: Logs, cpu: Logs, slowdown: float, clock: Clock | None) -> dict[str, float]:
    """How often each verdict comes out where the arm is slower by `slowdown`; `processes` is their mean number."""
    shift = math.log1p(slowdown)
    ended = [play(*both, clock) for both in zip((wall + shift).tolist(), (cpu + shift).tolist(), strict=True)]
    shares = Counter(verdict for verdict, _ in ended)
    verdicts = {verdict: shares[verdict] / len(ended) for verdict in ("SLOWER", "FASTER", "SAME", "INCONCLUSIVE")}
    return {**verdicts, "processes": sum(count for _, count in ended) / len(ended)}
