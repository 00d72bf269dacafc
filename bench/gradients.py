"""Gradients through modified weights: are they exact, and what do they cost?

    python -m bench.gradients [--rounds 9] [--only exact cost …] [--models NAME …]

`exact`: of every kind of model the largest error along random directions in float64, through transforms, in graphs and
under XLA. `cost`: the CPU time of a training step of all weights through a transform against a plain step, in turns in
one process, the median of ratios; and how often the step is traced for eight values of its factors.
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable
from typing import Any

from tfopt.workload.runtime import import_tensorflow

import_tensorflow()

import keras  # noqa: E402
import tensorflow as tf  # noqa: E402

from bench.influence import line, mlp, ratios  # noqa: E402
from bench.small_models import SMALL  # noqa: E402
from bench.small_models import batch as small_batch  # noqa: E402
from bench.zoo import ZOO, batch  # noqa: E402
from tfopt.modified.checking import check_gradients  # noqa: E402
from tfopt.modified.parametrization import parametrize  # noqa: E402
from tfopt.workload.step import loss_of  # noqa: E402

EXACT = 1e-6
TRANSFORMS = (None, "scale=0.5", "low-rank=2", "ste-threshold=0.1")


def big_mlp() -> keras.Model:
    """784, 4 × 1024, 10."""
    model = mlp(1024, 4)
    model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


# Model, batch, and the most that a step may cost.
COSTS: dict[str, tuple[Callable[[], keras.Model], int, float]] = {
    "cnn": (ZOO["cnn"], 32, 1.15),
    "mobilenetv2": (ZOO["mobilenetv2"], 16, 1.15),
    "mlp": (ZOO["mlp"], 64, 1.35),
    "mlp_wide": (big_mlp, 32, 1.35),
}


def main() -> None:
    """Print wanted and measured, line by line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--only", nargs="*", choices=["exact", "cost"], default=["exact", "cost"])
    parser.add_argument("--models", nargs="*", default=[*SMALL, *COSTS])
    arguments = parser.parse_args()
    if "exact" in arguments.only:
        for name in (name for name in SMALL if name in arguments.models):
            exact(name)
    if "cost" in arguments.only:
        for name in (name for name in COSTS if name in arguments.models):
            cost(name, arguments.rounds)


def exact(name: str) -> None:
    """The largest error of one model, by how it is compiled and what its weights go through."""
    for xla in (False, True):
        for word in TRANSFORMS:
            keras.utils.set_random_seed(0)
            model = SMALL[name]()
            x, y = small_batch(model)
            made = None if word is None else parametrize(model, word)
            checks = check_gradients(model, (x, y, None), modified=made, xla=xla).checks
            bad = [each.path for each in checks if each.verdict not in ("agrees", "rounding")]
            error = max(each.error or 0.0 for each in checks)
            what = f"{'xla' if xla else 'graph'}, {word or 'as it is'}: error of {len(checks)} tensors"
            print(f"{name:12}{what:48} ≤ {EXACT:.0e} {error:9.1e}   {'MISSED' if bad else 'met'} {' '.join(bad)}")


def cost(name: str, rounds: int) -> None:
    """The step of one model through each transform."""
    build, size, goal = COSTS[name]
    for word in ("scale=0.5", "threshold=0.01"):
        model = build()
        x, y = (tf.constant(values) for values in batch(model, size))
        made = parametrize(model, word)
        step = made.training_step(keras.optimizers.SGD(1e-9), learn="all")
        plain = plain_step(model)
        ratio, _ = ratios(functools.partial(step, x, y), functools.partial(plain, x, y), rounds)
        line(f"{name:12}", f"step through {word} / plain step", goal, ratio)
        for number in range(8):
            for factor in made.factors:
                factor.assign(number / 8)
            step(x, y)
        line(f"{name:12}", "traces for eight values of the factors", 1, step.experimental_get_tracing_count())


def plain_step(model: keras.Model) -> Callable[[Any, Any], Any]:
    """The same loss and optimizer, of the weights as they are."""
    optimizer = keras.optimizers.SGD(1e-9)
    optimizer.build(model.trainable_variables)

    @tf.function(autograph=False)
    def step(x: Any, y: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = loss_of(model, x, y, None)
        optimizer.apply_gradients(
            zip(tape.gradient(loss, model.trainable_weights), model.trainable_weights, strict=True)
        )
        return loss

    return step


if __name__ == "__main__":
    main()
