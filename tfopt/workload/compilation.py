"""The loss and optimizer of a model: its own, the user's, or inferred ones that are said."""

from __future__ import annotations

from typing import Any

import keras
from keras.src.utils import tracking

from tfopt.errors import UsageError
from tfopt.records.base import Note
from tfopt.workload.batch import Batch
from tfopt.workload.batching import outputs_of
from tfopt.workload.options import Options
from tfopt.workload.step import has_own_step
from tfopt.workload.targets import infer_loss, loss_name

__all__ = ["build_training_state", "compile_model", "optimizer_name", "recompile", "scale_loss_for"]

_OPTIMIZER = "Adam"


def compile_model(model: Any, options: Options) -> list[Note]:
    """Give the model a loss and an optimizer where it has none, or where the user chose others."""
    try:
        if not model.compiled:
            return _compile_new(model, options)
        if options.optimizer:
            _use_optimizer(model, keras.optimizers.get(options.optimizer))
        elif model.optimizer is None:
            _use_optimizer(model, keras.optimizers.get(_OPTIMIZER))
        return _replace_loss(model, options.loss) if options.loss else []
    except TypeError as error:
        raise UsageError(
            f"{type(model).__name__}.compile takes arguments of its own: tfopt cannot compile it",
            "compile it yourself before it is saved or profiled; --loss and --optimizer do not apply to it",
        ) from error
    except ValueError as error:
        raise UsageError(str(error).splitlines()[0], "use names of keras.losses and keras.optimizers") from error


def _compile_new(model: Any, options: Options) -> list[Note]:
    loss: Any = options.loss
    assumed = []
    if not loss:
        loss, reason = infer_loss(model)
        assumed.append(f"the loss {loss_name(loss)}, since {reason}")
    if not options.optimizer:
        assumed.append(f"the optimizer {_OPTIMIZER}")
    if options.loss:
        keras.losses.get(options.loss)  # Keras itself notices an unknown name only in the first step
    model.compile(optimizer=options.optimizer or _OPTIMIZER, loss=loss)
    if not assumed:
        return []
    message = f"the model is not compiled; assumed: {'; '.join(assumed)}"
    return [Note(message=message, hint="choose with --loss and --optimizer")]


def _replace_loss(model: Any, loss: str) -> list[Note]:
    """Compile again with another loss; the optimizer stays, the old losses' weights go."""
    keras.losses.get(loss)
    weights = getattr(model._compile_loss, "_user_loss_weights", None)
    model.compile(optimizer=model.optimizer, loss=loss, jit_compile=model.jit_compile, run_eagerly=model.run_eagerly)
    if weights is None:
        return []
    return [Note(message=f"--loss {loss} replaces the model's losses, and with them its loss weights {weights}")]


def _use_optimizer(model: Any, optimizer: Any) -> None:
    """Exchange the optimizer and nothing else of the compile state."""
    with tracking.DotNotTrackScope():
        model.optimizer = optimizer


def recompile(clone: Any, model: Any) -> None:
    """Compile `clone` as `model` is: its loss, loss weights and a fresh optimizer of the same settings."""
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    clone.compile(
        optimizer=type(optimizer).from_config(optimizer.get_config()),
        loss=model.loss,
        loss_weights=getattr(model._compile_loss, "_user_loss_weights", None),
        jit_compile=model.jit_compile,
        run_eagerly=model.run_eagerly,
    )


def scale_loss_for(model: Any, precision: str) -> None:
    """Scale the loss in mixed_float16 and nowhere else, as Keras's `compile` does."""
    optimizer = model.optimizer
    scaled = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    if precision == "mixed_float16" and optimizer is not None and not scaled:
        _use_optimizer(model, keras.optimizers.LossScaleOptimizer(optimizer))
    elif precision != "mixed_float16" and scaled:
        _use_optimizer(model, optimizer.inner_optimizer)


def build_training_state(model: Any, batch: Batch) -> None:
    """Create the variables of the optimizer and the loss before the step is traced: a variable that is created while
    tracing makes `tf.function` trace twice. A model's own step decides itself which optimizer has which variables."""
    if has_own_step(model):
        return
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    loss = model._compile_loss
    if loss is not None and not loss.built and len(keras.tree.flatten(batch.y)) > 1:  # then each loss has a metric
        loss.build(batch.y, outputs_of(model, batch.x))


def optimizer_name(optimizer: Any) -> str | None:
    """The optimizer's class, and whether it scales the loss; None without one."""
    if optimizer is None:
        return None
    inner = getattr(optimizer, "inner_optimizer", None)
    return f"{type(inner).__name__} with loss scaling" if inner is not None else type(optimizer).__name__
