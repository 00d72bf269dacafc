"""What are scores of units worth? The rank correlation of each score with the loss that a unit alone costs, measured.

    python -m bench.scores [--seeds 3] [--markdown FILE] [NETWORK ...]

Networks are trained on digits (bench.trained). Each unit of each layer is set to zero by itself, and the loss measured
on what was held out; scores that need data have the training data. Per layer Spearman's ρ, for all scores of tfopt and
for random numbers; `together` ranks the units of all layers as one list, as pruning to a budget does.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from bench.ranks import spearman
from bench.trained import DIGITS, GOAL, Digits, digits, trained
from tfopt.pathways.samples import samples_of
from tfopt.pathways.switches import Switched
from tfopt.pathways.unit_scores import SCORES, Subject, scored

MEAN, TOGETHER = "mean of layers", "together"
BATCH = 512

Found = dict[tuple[str, str], dict[str, list[float]]]
"""By network and layer: by score, ρ of each seed."""


def main() -> None:
    """Print the accuracies, then the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("networks", nargs="*", default=list(DIGITS), metavar="NETWORK")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--markdown", type=Path)
    arguments = parser.parse_args()
    data = digits()
    found: Found = defaultdict(lambda: defaultdict(list))
    for name in arguments.networks:
        for seed in range(arguments.seeds):
            started = time.perf_counter()
            correlations, accuracy = correlated(name, seed, data)
            verdict = "met" if accuracy >= GOAL else "missed"
            seconds = time.perf_counter() - started
            print(f"{name:10} seed {seed}  wanted {GOAL:.3f}  measured {accuracy:.3f}  {verdict}  {seconds:.0f} s")
            for layer, by_score in correlations.items():
                for score, value in by_score.items():
                    found[name, layer][score].append(value)
    lines = list(table(found))
    print("\n".join(lines))
    if arguments.markdown:
        arguments.markdown.write_text("\n".join(lines) + "\n", encoding="utf-8")


def correlated(name: str, seed: int, data: Digits) -> tuple[dict[str, dict[str, float]], float]:
    """By layer and score ρ, for one network after training; and its accuracy."""
    model = trained(name, seed, data)
    held_out, known = (
        samples_of(model, x, y, batch_size=BATCH) for x, y in ((data.test_x, data.test_y), (data.x, data.y))
    )
    switched = Switched(model, held_out, level="unit")
    intact = switched.without()
    costs = np.zeros(switched.size)
    for unit in switched.candidates:
        costs[unit] = switched.without([unit]).loss - intact.loss
    subject = Subject(model, known, None, "unit", switched.switches, seed)
    scores = {score: scored(score, subject) for score in SCORES}
    layers = {
        each.path.split("/", 1)[1]: np.arange(each.start, each.start + each.width)
        for each in switched.switches
        if not each.final
    }
    found = {layer: _correlations(scores, costs, units) for layer, units in layers.items()}
    found[MEAN] = {score: float(np.mean([of_layer[score] for of_layer in found.values()])) for score in scores}
    found[TOGETHER] = _correlations(scores, costs, switched.candidates)
    return found, float(intact.accuracy or 0)


def _correlations(scores: Mapping[str, np.ndarray], costs: np.ndarray, units: Sequence[int]) -> dict[str, float]:
    return {score: spearman(values[units], costs[units]) for score, values in scores.items()}


def table(found: Found) -> Iterable[str]:
    """One row per network and layer: the mean over seeds, and the range."""
    yield f"| network | layer | {' | '.join(SCORES)} |"
    yield f"|:--|:--|{'--:|' * len(SCORES)}"
    for (network, layer), by_score in found.items():
        name = layer if layer in (MEAN, TOGETHER) else f"`{layer}`"
        bold = "**" if layer == MEAN else ""
        yield f"| {network} | {name} | {' | '.join(_cell(by_score[score], bold) for score in SCORES)} |"


def _cell(values: Sequence[float], bold: str) -> str:
    return f"{bold}{np.mean(values):+.2f}{bold} ({min(values):+.2f} to {max(values):+.2f})"


if __name__ == "__main__":
    main()
