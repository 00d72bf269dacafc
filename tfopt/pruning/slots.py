"""What an optimizer keeps beside the weights: moments, averages, accumulated gradients."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras

from tfopt.workload.preserve import optimizers_of

__all__ = ["AVERAGES", "Slot", "all_optimizers", "leaves_of", "slots_of", "trainers_of"]

AVERAGES = "_model_variables_moving_average"  # of the weights, written over them when training ends


@dataclass(frozen=True, eq=False)
class Slot:
    """A value of the shape of `weight`; `name` is the optimizer's attribute that holds it."""

    name: str
    weight: Any
    value: Any


def trainers_of(model: Any) -> list[Any]:
    """The model and the models in it: each may be compiled, and trained by itself, as the parts of a GAN are."""
    return [each for each in model._flatten_layers() if isinstance(each, keras.Model)]


def all_optimizers(model: Any) -> list[Any]:
    """The optimizers of the model and of the models in it, its own first."""
    found = [optimizer for trainer in trainers_of(model) for optimizer in optimizers_of(trainer)]
    return list({id(optimizer): optimizer for optimizer in found}.values())


def leaves_of(optimizer: Any) -> list[Any]:
    """The optimizers that do the work: those that one wraps (loss scaling, `MultiOptimizer`), else itself."""
    inner = getattr(optimizer, "inner_optimizer", None)
    wrapped = [inner] if inner is not None else getattr(optimizer, "optimizers", ())
    return [leaf for each in wrapped for leaf in leaves_of(each)] or [optimizer]


def slots_of(optimizer: Any) -> Iterator[Slot]:
    """All slots of the shape of their weight, none before the optimizer is built.

    Keras's optimizers hold a slot for each weight in lists as long as that of the weights. Names would not do: they are
    made from the weights' paths, which need not be unique.
    """
    for leaf in leaves_of(optimizer):
        weights = getattr(leaf, "_trainable_variables", ())
        for name, held in vars(leaf).items():
            if name == "_variables" or not isinstance(held, list | tuple) or len(held) != len(weights):
                continue
            for weight, value in zip(weights, held, strict=True):
                if isinstance(value, keras.Variable) and value is not weight and value.shape == weight.shape:
                    yield Slot(name, weight, value)
