"""Do masks hold, and what do they cost?

    python -m bench.masking [--rounds 9] [--only zeros cost …]

`zeros`: under every optimizer of Keras, with each of clipnorm, global_clipnorm, averages of the weights (also written
over them while training), accumulated gradients and loss scaling, from slots that training left and while masks remove
more and more: the largest number where there should be none. `cost`: the CPU time of a compiled training step under
masks against a plain one, in turns in one process, the median of ratios.
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable
from typing import Any

from tfopt.workload.runtime import import_tensorflow

import_tensorflow()

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
from keras import layers, optimizers  # noqa: E402

from bench.influence import line, ratios  # noqa: E402
from bench.zoo import ZOO, batch  # noqa: E402
from tfopt.pruning.masks import mask_of_each, masked  # noqa: E402
from tfopt.pruning.prunable import Masks, Prunable  # noqa: E402

OPTIMIZERS = [
    "SGD",
    "Adam",
    "AdamW",
    "RMSprop",
    "Adagrad",
    "Adadelta",
    "Adamax",
    "Nadam",
    "Ftrl",
    "Lion",
    "Lamb",
    "Adafactor",
    "Muon",
    "ScheduleFreeAdamW",
]
AVERAGES = {"use_ema": True, "ema_momentum": 0.9}
VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "clipnorm": {"clipnorm": 0.05},
    "global_clipnorm": {"global_clipnorm": 0.05},
    "average": AVERAGES,
    "overwritten": {**AVERAGES, "ema_overwrite_frequency": 3},
    "accumulated": {"gradient_accumulation_steps": 2},
    "scaled": {},
}
COSTS = {"cnn": 32, "mlp": 64, "mobilenetv2": 16}
COST = 1.15


def main() -> None:
    """Print wanted and measured, line by line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--only", nargs="*", choices=["zeros", "cost"], default=["zeros", "cost"])
    arguments = parser.parse_args()
    if "zeros" in arguments.only:
        for name in OPTIMIZERS:
            for variant in VARIANTS:
                zeros(name, variant)
    if "cost" in arguments.only:
        for name in COSTS:
            cost(name, arguments.rounds)


def kernels(model: Any) -> list[Prunable]:
    """All kernels of rank 2 and above."""
    held = [(each, each.kernel) for each in model._flatten_layers() if getattr(each, "kernel", None) is not None]
    return [Prunable(kernel, layer, layer.path, (-2,), (-1,)) for layer, kernel in held if len(kernel.shape) > 1]


def masks_of(weights: list[Prunable], sparsity: float) -> Masks:
    """Random ones, nested: what goes at one sparsity is gone at all above."""
    rng = np.random.default_rng(0)
    return [rng.random(each.shape) >= sparsity for each in weights]


def zeros(name: str, variant: str) -> None:
    """One optimizer in one variant."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((6,)), layers.Dense(8, activation="tanh"), layers.Dense(3)])
    x, y = np.random.default_rng(1).normal(size=(2, 32, 6))
    optimizer = getattr(optimizers, name)(learning_rate=0.02, **VARIANTS[variant])
    model.compile(optimizers.LossScaleOptimizer(optimizer) if variant == "scaled" else optimizer, "mse")
    train = functools.partial(model.fit, x, y[:, :3], batch_size=8, verbose=0)
    train()
    weights = kernels(model)
    worst = 0.0
    with masked(model, mask_of_each(weights, masks_of(weights, 0.3))) as masking:
        for sparsity in (0.3, 0.6, 0.75, 0.8):  # cubic
            masks = masks_of(weights, sparsity)
            masking.update(mask_of_each(weights, masks))
            train()
            strays = [np.abs(each.variable.numpy()[~mask]).max() for each, mask in zip(weights, masks, strict=True)]
            worst = max(worst, *(float(stray) for stray in strays)) if np.all(np.isfinite(strays)) else np.inf
    sound = all(np.all(np.isfinite(each.numpy())) for each in model.weights)
    line(f"{name:18}", f"{variant}: largest number where masked", 0.0, worst if sound else np.inf)


def cost(name: str, rounds: int) -> None:
    """The step of a model with and of an equal one without masks on all its kernels."""
    plain, model = ZOO[name](), ZOO[name]()
    x, y = (tf.constant(values) for values in batch(model, COSTS[name]))
    weights, optimizer = kernels(model), optimizers.Adam(1e-9)
    with masked(model, mask_of_each(weights, masks_of(weights, 0.8))) as masking:
        masking.hold(optimizer)
        ratio, _ = ratios(_step(model, optimizer, x, y), _step(plain, optimizers.Adam(1e-9), x, y), rounds)
    line(f"{name:18}", "step under masks / plain step", COST, ratio)


def _step(model: Any, optimizer: Any, x: Any, y: Any) -> Callable[[], Any]:
    """Compiled, and run once."""
    optimizer.build(model.trainable_variables)

    @tf.function(autograph=False)
    def step(x: Any, y: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = model._compute_loss(x=x, y=y, y_pred=model(x, training=True), training=True)
        optimizer.apply(tape.gradient(loss, model.trainable_weights), model.trainable_weights)
        return loss

    step(x, y)
    return functools.partial(step, x, y)


if __name__ == "__main__":
    main()
