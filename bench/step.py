"""Is tfopt's step the step of Keras? Its CPU time against `train_on_batch`, interleaved in one process.

    python -m bench.step [--rounds 40]

Per model: blocks of five steps in random order, the ratio of each pair of blocks, their median with its 95 % interval.
Goal: at most 1.05.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable
from typing import Any

from tfopt.workload.runtime import import_tensorflow

import_tensorflow()

import tensorflow as tf  # noqa: E402

from bench.zoo import ZOO, batch  # noqa: E402
from tfopt.model.layers import layer_tree  # noqa: E402
from tfopt.workload.device import place  # noqa: E402
from tfopt.workload.scopes import Scopes  # noqa: E402
from tfopt.workload.step import training_step  # noqa: E402
from tfopt.workload.timing import finished, median_interval  # noqa: E402

MODELS = {"mlp": 64, "cnn": 32, "lstm": 32, "mobilenetv2": 16}
GOAL = 1.05
BLOCK = 5


def main() -> None:
    """Print the ratio for each model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=40)
    rounds = parser.parse_args().rounds
    print(f"{'model':14} {'CPU ratio':>9}  {'95 % interval':17} {'tfopt':>9} {'train_on_batch':>15}  goal ≤ {GOAL}")
    for name, size in MODELS.items():
        ours, theirs = _steps(name, size)
        pairs = _interleaved(ours, theirs, rounds)
        ratio, low, high = median_interval([a / b for a, b in pairs])
        first, second = (median_interval(side)[0] for side in zip(*pairs, strict=True))
        verdict = "met" if ratio <= GOAL else "missed"
        print(f"{name:14} {ratio:9.3f}  [{low:.3f}, {high:.3f}]    {first:6.2f} ms {second:12.2f} ms  {verdict}")


def _steps(name: str, size: int) -> tuple[Callable[[], Any], Callable[[], Any]]:
    ours, theirs = ZOO[name](), ZOO[name]()
    x, y = (tf.constant(values) for values in batch(ours, size))
    ours.optimizer.build(ours.trainable_variables)
    step = training_step(ours, Scopes(layer_tree(ours)), place("cpu"), xla=False, eager=False)
    return lambda: finished(step(x, y, None)), lambda: theirs.train_on_batch(x, y)


def _interleaved(ours: Callable[[], Any], theirs: Callable[[], Any], rounds: int) -> list[tuple[float, float]]:
    for run in (ours, theirs):
        for _ in range(10):
            run()
    pairs = []
    order = random.Random(0)
    for _ in range(rounds):
        sides = [0, 1]
        order.shuffle(sides)
        times = [0.0, 0.0]
        for side in sides:
            times[side] = _block((ours, theirs)[side])
        pairs.append((times[0], times[1]))
    return pairs


def _block(run: Callable[[], Any]) -> float:
    started = time.process_time_ns()
    for _ in range(BLOCK):
        run()
    return (time.process_time_ns() - started) / 1e6 / BLOCK


if __name__ == "__main__":
    main()
