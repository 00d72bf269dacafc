"""Training after weights were removed, epoch by epoch, while masks hold and, by a schedule, remove more."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from tfopt.errors import RunFailed, UsageError
from tfopt.model.patching import patching
from tfopt.pruning.checkpoints import Checkpoint
from tfopt.pruning.masks import Masking, mask_of_each, masked
from tfopt.pruning.prunable import Masks, Prunable
from tfopt.pruning.slots import all_optimizers, leaves_of
from tfopt.pruning.training_data import TrainingData
from tfopt.records.base import finite
from tfopt.records.pruning import Epoch
from tfopt.report.progress import ProgressCallback, silent
from tfopt.wording import counted
from tfopt.workload.failures import explained

__all__ = ["Finetuning", "finetune"]


@dataclass(frozen=True)
class Finetuning:
    """What each epoch gave, also those before an interruption, and the masks that held in the last."""

    epochs: tuple[Epoch, ...]
    masks: Masks


def finetune(
    model: Any,
    weights: Sequence[Prunable],
    data: TrainingData,
    sparsities: Sequence[float],
    remask: Callable[[float], Masks],
    *,
    lr: float | None = None,
    checkpoint: Checkpoint | None = None,
    progress: ProgressCallback = silent,
) -> Finetuning:
    """Train the model in place with its own optimizer, whose state it keeps. Averages of the weights (EMA) are written
    over them once, at the end.

    Args:
        model: a compiled Keras model.
        weights: what is masked.
        data: what it is trained on.
        sparsities: the share that is removed in each epoch; as many as there are epochs.
        remask: the masks for a share, called before the first epoch and wherever the share changes.
        lr: learning rate in place of the optimizer's own or its schedule, for all optimizers where there are several.
        checkpoint: written after every epoch; what it resumes from goes on as if it had not been interrupted, provided
            that the data come in the same order.
        progress: told the epoch, and which part of all is done.

    Raises:
        UsageError: there is no epoch, or the learning rate is zero.
        RunFailed: the loss is not finite, a step fails, or the model's own code writes to weights that are removed.
    """
    if not sparsities:
        raise UsageError("there is no epoch to train for", "give 1 or more")
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    _set_rate(model, lr, len(sparsities) * (data.steps or 1))
    masks, epochs = checkpoint.begin(model, len(weights)) if checkpoint is not None else (None, ())
    if masks is None:
        masks = remask(sparsities[0])
    with masked(model, mask_of_each(weights, masks)) as masking, explained("fine-tuning"):
        # `fit` writes averages over the weights whenever it ends.
        with patching() as patch:
            patch(model.optimizer, "finalize_variable_values", lambda variables: None)
            for number in range(len(epochs), len(sparsities)):
                if number and sparsities[number] != sparsities[number - 1]:
                    masks = remask(sparsities[number])
                    masking.update(mask_of_each(weights, masks))
                epochs = (*epochs, _epoch(model, data, number, sparsities, progress))
                _check(masking, epochs, len(sparsities))
                if checkpoint is not None:
                    checkpoint.save(model, masks, epochs)
        model.optimizer.finalize_variable_values(model.trainable_weights)
        _check(masking, epochs, len(sparsities))
    return Finetuning(epochs, masks)


def _set_rate(model: Any, rate: float | None, steps: int) -> None:
    leaves = [leaf for optimizer in all_optimizers(model) for leaf in leaves_of(optimizer)]
    if rate is None and all(_stands_still(leaf, steps) for leaf in leaves):
        raise UsageError("the model's learning rate is 0: training would change nothing", "give another: --lr 0.001")
    for leaf in leaves if rate is not None else ():
        if isinstance(leaf._learning_rate, keras.Variable):
            leaf.learning_rate = rate
        else:  # Keras takes no number in place of a schedule
            leaf.learning_rate = keras.optimizers.schedules.ExponentialDecay(rate, 1, 1.0)


def _stands_still(optimizer: Any, steps: int) -> bool:
    """Whether its rate is zero, now and after so many steps."""
    own = optimizer._learning_rate
    if isinstance(own, keras.optimizers.schedules.LearningRateSchedule):
        return not any(float(own(optimizer.iterations + step)) for step in (0, steps))
    return isinstance(own, keras.Variable) and float(own) == 0


def _epoch(
    model: Any, data: TrainingData, number: int, sparsities: Sequence[float], progress: ProgressCallback
) -> Epoch:
    total = len(sparsities)
    last: dict[str, Any] = {}

    def done(batch: int, logs: Any = None) -> None:
        last.update(logs or {})
        part = (batch + 1) / data.steps if data.steps else 0
        progress(f"fine-tuning, epoch {number + 1} of {total}", (number + part) / total)

    done(-1)
    told = keras.callbacks.LambdaCallback(on_train_batch_end=done)
    history = model.fit(
        data.epoch(number), epochs=number + 1, initial_epoch=number, shuffle=False, verbose=0, callbacks=[told]
    )
    values = {name: finite(value[-1]) for name, value in history.history.items()}
    if not float(model._loss_tracker.count):
        # The model's own step gives a loss that Keras mistakes for the one that it did not compute, and calls 0.
        values["loss"] = finite(last.get("loss", math.nan))
    return Epoch(number=number + 1, sparsity=sparsities[number], loss=values.pop("loss", None), metrics=values)


def _check(masking: Masking, epochs: Sequence[Epoch], total: int) -> None:
    """RunFailed where an epoch did not do what it is said to do."""
    last = epochs[-1]
    if last.loss is None or not math.isfinite(last.loss):
        raise RunFailed(
            f"the loss is not finite in epoch {last.number} of {total}", "try a smaller learning rate: --lr"
        )
    if broken := masking.broken():
        raise RunFailed(
            f"{counted(len(broken), 'weight')} did not stay at zero where they are masked, {broken[0]} first",
            "the model's own training step writes to its weights past the optimizer: train it in a loop of your own",
        )
