"""How long steps of a saved model take in several ways, without any code of tfopt: what bench.compare is checked by.

    python -m bench.plain MODEL.keras graph,xla,eager,mixed_bfloat16 [ROUNDS]

Prints JSON: for each way its time over that of the first, the median over rounds in which every way runs one after the
other, in random order, five steps each of which the fastest counts.
"""

from __future__ import annotations

import json
import random
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

BATCH, STEPS = 32, 5


def main() -> None:
    """Time all ways side by side."""
    path, names = sys.argv[1], sys.argv[2].split(",")
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 30
    runs = {name: step_of(path, name) for name in names}
    for run in runs.values():
        for _ in range(STEPS):
            run()
    times: dict[str, list[float]] = {name: [] for name in names}
    order = random.Random(0)
    for _ in range(rounds):
        for name in order.sample(names, len(names)):
            times[name].append(min(timed(runs[name]) for _ in range(STEPS)))
    first = times[names[0]]
    ratios = {
        name: statistics.median(own / base for own, base in zip(of_one, first, strict=True))
        for name, of_one in times.items()
    }
    print(json.dumps(ratios))


def timed(run: Callable[[], Any]) -> float:
    """Seconds of one step."""
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def step_of(path: str, name: str) -> Callable[[], Any]:
    """A training step of the model, run in one way."""
    model = keras.models.load_model(path)
    if name.startswith("mixed_"):
        for layer in model._flatten_layers():
            layer.dtype_policy = name
    model.optimizer.build(model.trainable_variables)
    x, y = (tf.constant(values) for values in data_for(model))

    def step() -> Any:
        with tf.GradientTape() as tape:
            loss = model.compute_loss(x, y, model(x, training=True))
        model.optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return loss

    run = step if name == "eager" else tf.function(step, jit_compile=name == "xla")
    return lambda: float(run())


def data_for(model: Any) -> tuple[Any, Any]:
    """Random inputs and classes."""
    rng = np.random.default_rng(0)
    shape = (BATCH, *model.inputs[0].shape[1:])
    integers = "int" in model.inputs[0].dtype
    x = rng.integers(0, 1000, shape) if integers else rng.standard_normal(shape)
    return x.astype(model.inputs[0].dtype), rng.integers(0, model.output_shape[-1], BATCH)


if __name__ == "__main__":
    main()
