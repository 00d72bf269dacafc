"""How much of a trained network can go? Criteria, scopes and schedules on scikit-learn's digits.

    python -m bench.digits [--seeds 3] [--only NAME …]

A convolutional network of 47,674 parameters; each run starts from the same trained weights with a fresh Adam, removes
weights and trains on (`+0`: not). Accuracy on 450 images that were held out, the mean over seeds with the difference
from the dense network (paired by image, with two standard errors). At 90 % also the pruned model's deflated file, over
the dense model's as Keras writes it. About three minutes of CPU time per seed.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from tfopt.workload.runtime import import_tensorflow

import_tensorflow()

import keras  # noqa: E402
import numpy as np  # noqa: E402
from keras import layers  # noqa: E402

from bench.trained import BATCH, Digits, digits, fitted  # noqa: E402
from tfopt.pruning.allocation.schedules import sparsities  # noqa: E402
from tfopt.pruning.allocation.scopes import allocate  # noqa: E402
from tfopt.pruning.criteria import CRITERIA, Scoring, scored  # noqa: E402
from tfopt.pruning.finetune import finetune  # noqa: E402
from tfopt.pruning.masks import remove  # noqa: E402
from tfopt.pruning.prunable import Masks, Scores  # noqa: E402
from tfopt.pruning.selection import select  # noqa: E402
from tfopt.pruning.storage import saved  # noqa: E402
from tfopt.pruning.training_data import from_arrays  # noqa: E402

PARAMS, EPOCHS, DENSE, MARGIN = 47_674, 20, 0.98, 0.03
SIZED, SIZE = "magnitude-90+20", 0.25


@dataclass(frozen=True)
class Run:
    """`epochs` of training after the schedule's steps of an epoch each; a one-shot is part of the first epoch."""

    criterion: str
    sparsity: float
    epochs: int
    goal: float | None = None
    schedule: str = "one-shot"
    steps: int = 0

    @property
    def name(self) -> str:
        """As in `lamp-80+5`."""
        steps = f"{self.schedule}{self.steps}" if self.steps else ""
        return f"{self.criterion}-{self.sparsity * 100:g}+{steps}{'+' if steps else ''}{self.epochs}"

    @property
    def sparsities(self) -> tuple[float, ...]:
        """What is removed while each epoch runs."""
        growing = sparsities(self.schedule, self.sparsity, self.steps) if self.steps else ()
        return (*growing, *(self.sparsity,) * self.epochs)


RUNS = (
    Run("magnitude", 0.8, 5, 0.975),
    Run("magnitude", 0.9, 20, 0.975),
    Run("magnitude", 0.95, 20, 0.965),
    Run("lamp", 0.9, 5, 0.97),
    Run("fisher", 0.98, 10, 0.96, "cubic", 10),
    Run("synflow", 0.98, 20, 0.93),
    Run("lamp", 0.8, 5),
    Run("fisher", 0.8, 5),
    Run("synflow", 0.8, 5),
    Run("random", 0.8, 5),
    *(Run(criterion, 0.8, 0) for criterion in ("magnitude", "lamp", "fisher", "synflow", "random")),
)
AGAINST_RANDOM = ("magnitude", "lamp", "fisher", "synflow")


def network() -> keras.Model:
    """Four convolutions, each with BatchNormalization and ReLU."""
    inputs = keras.Input((8, 8, 1))
    x = inputs
    for number, filters in enumerate((16, 32, 48, 64)):
        x = layers.Conv2D(filters, 3, padding="same", name=f"conv_{number}")(x)
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
        x = layers.MaxPooling2D()(x) if number in (1, 2) else x
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(10, activation="softmax", name="digit")(x))


def main() -> None:
    """Print wanted and measured, line by line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", nargs="*", choices=[run.name for run in RUNS], default=[run.name for run in RUNS])
    arguments = parser.parse_args()
    data, chosen = digits(), [run for run in RUNS if run.name in arguments.only]
    assert network().count_params() == PARAMS
    right: dict[str, list[np.ndarray]] = {name: [] for name in ("dense", *(run.name for run in chosen))}
    shares: list[float] = []
    for seed in range(arguments.seeds):
        began = time.perf_counter()
        dense = fitted(network, seed, data, EPOCHS)
        right["dense"].append(hits(dense, data))
        for run in chosen:
            model = pruned(dense, run, seed, data)
            right[run.name].append(hits(model, data))
            if run.name == SIZED:
                shares.append(file_bytes(model, compress=True) / file_bytes(dense, compress=False))
        took = time.perf_counter() - began
        told = ", ".join(f"{name} {found[-1].mean():.3f}" for name, found in right.items())
        print(f"seed {seed}, {took:.0f} s: {told}", flush=True)
    report(chosen, {name: np.stack(found) for name, found in right.items()})
    if shares:
        verdict = "met" if max(shares) <= SIZE else "MISSED"
        print(f"{SIZED + ', file':28}wanted ≤ {SIZE:.3f}   measured {max(shares):.4f}  {verdict}")


def pruned(dense: keras.Model, run: Run, seed: int, data: Digits) -> keras.Model:
    """The network after pruning and training; exactly as many weights are zero as were asked for."""
    keras.utils.set_random_seed(seed)
    model = network()
    model.set_weights(dense.get_weights())
    model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy")
    weights, _ = select(model)

    def masks(sparsity: float) -> Masks:
        def kept(scores: Scores, sparsity: float) -> Masks:
            return allocate(scores, sparsity, CRITERIA[run.criterion].scopes[0], weights)

        scoring = Scoring(model, weights, kept, sparsity, data.x, data.y, seed=seed)
        return kept(scored(run.criterion, scoring), sparsity)

    if run.sparsities:
        finetune(model, weights, from_arrays(model, data.x, data.y, batch_size=BATCH, seed=seed), run.sparsities, masks)
    else:
        remove(model, weights, masks(run.sparsity))
    zeros = sum(int(np.sum(weight.values == 0)) for weight in weights)
    assert zeros == round(run.sparsity * sum(weight.size for weight in weights))
    return model


def hits(model: keras.Model, data: Digits) -> np.ndarray:
    """Which of the held-out images are told right."""
    told: np.ndarray = model.predict(data.test_x, verbose=0).argmax(-1) == data.test_y
    return told


def file_bytes(model: keras.Model, *, compress: bool) -> int:
    """What the model takes as a file, its optimizer included."""
    with tempfile.TemporaryDirectory() as folder, saved(model, Path(folder), compress=compress) as path:
        return path.stat().st_size


def report(runs: list[Run], right: Mapping[str, np.ndarray]) -> None:
    """Every goal: of accuracies, and of distances from random."""
    dense = right["dense"]
    line("dense", DENSE, dense.mean(), "")
    for run in runs:
        apart = right[run.name].astype(float) - dense
        interval = f"{apart.mean():+.3f} ± {2 * apart.mean(0).std(ddof=1) / np.sqrt(apart.shape[1]):.3f} from dense"
        line(run.name, run.goal, right[run.name].mean(), interval)
    for run in (run for run in runs if run.criterion in AGAINST_RANDOM):
        at_random = replace(run, criterion="random", goal=None).name
        if at_random in right:
            line(f"{run.name} - random", MARGIN, right[run.name].mean() - right[at_random].mean(), "")


def line(what: str, wanted: float | None, measured: float, told: str) -> None:
    """One goal."""
    goal = "" if wanted is None else f"wanted ≥ {wanted:.3f}"
    verdict = "" if wanted is None else "met" if measured >= wanted else "MISSED"
    print(f"{what:28}{goal:16}  measured {measured:.4f}  {verdict:6}  {told}".rstrip())


if __name__ == "__main__":
    main()
