"""Put a workload together: a loaded model, a batch, a placement and a precision, made into one step."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from tfopt.errors import InputError
from tfopt.model.layers import layer_tree
from tfopt.records.base import Note
from tfopt.workload.batch import Batch, batch_length
from tfopt.workload.batching import Targets, batch_for
from tfopt.workload.compilation import build_training_state, compile_model, optimizer_name, scale_loss_for
from tfopt.workload.device import Placement
from tfopt.workload.options import Options
from tfopt.workload.precision import precision_of, with_precision
from tfopt.workload.scopes import Scopes
from tfopt.workload.step import Step, has_own_step, inference_step, training_step
from tfopt.workload.targets import infer_loss, loss_name

__all__ = ["Runner", "Workload", "prepare", "unused_in_inference"]


@dataclass
class Runner:
    """Runs the next step on the next batch. `examples` counts those of all steps so far, `waits_ms` has the time that
    each of them waited for its batch."""

    step: Step
    batch: Batch
    examples: int = 0
    waits_ms: list[float] = field(default_factory=list)

    def __call__(self) -> Any:
        started = time.perf_counter_ns()
        arguments = self.batch.arguments if self.batch.batches is None else next(self.batch.batches)
        self.waits_ms.append(0.0 if self.batch.batches is None else (time.perf_counter_ns() - started) / 1e6)
        self.examples += batch_length(arguments[0])
        return self.step(*arguments)


@dataclass(frozen=True)
class Workload:
    """A step with its batch, ready to run. `xla` is what `Options.xla` resolved to."""

    model: Any
    step: Step
    batch: Batch
    scopes: Scopes
    xla: bool
    loss: str | None
    notes: tuple[Note, ...]

    @property
    def optimizer(self) -> str | None:
        """The optimizers that the step applies, by name; until it is traced, the one that the model has."""
        used = self.scopes.applied or [getattr(self.model, "optimizer", None)] * self.step.trains
        return ", ".join(name for optimizer in used if (name := optimizer_name(optimizer))) or None

    def updates(self) -> int | None:
        """Updates that the optimizer under loss scaling has made so far; None without loss scaling.

        `_iterations` counts every one of them; the public `iterations` divides by `gradient_accumulation_steps`.
        """
        inner = getattr(getattr(self.model, "optimizer", None), "inner_optimizer", None)
        return int(inner._iterations.numpy()) if inner is not None and self.optimizer else None

    def runner(self) -> Runner:
        """A call that runs the next step."""
        return Runner(self.step, self.batch)


def prepare(model: Any, options: Options, placement: Placement) -> Workload:
    """The workload of a Keras model. Raises InputError or UsageError where model, data and options do not fit."""
    return (_training if options.mode == "train" else _inference)(model, options, placement)


def _training(model: Any, options: Options, placement: Placement) -> Workload:
    notes = compile_model(model, options)
    if not model.trainable_variables:
        raise InputError(
            f"{model.name} has no trainable weights: there is nothing to train", "profile it with --mode infer"
        )
    model = with_precision(model, options.precision)
    if options.precision or options.optimizer:
        scale_loss_for(model, precision_of(model))
    own = has_own_step(model)
    loss = model.loss
    if loss is None and own:
        loss, reason = infer_loss(model)
        if options.data == "synthetic":
            message = f"{type(model).__name__}.train_step is given targets for {loss_name(loss)}, since {reason}"
            notes.append(Note(message=message, hint="give it its real data with --data"))
    targets = (
        Targets(model, loss, required=not own, or_else="profile it with --mode infer") if loss is not None else None
    )
    batch = batch_for(model, options, targets)
    build_training_state(model, batch)
    scopes = Scopes(layer_tree(model))
    xla, said = _resolve_xla(model, options, placement)
    step = training_step(model, scopes, placement, xla=xla, eager=options.eager)
    return Workload(
        model,
        step,
        batch,
        scopes,
        xla,
        loss_name(model.loss) if model.loss is not None else None,
        (*notes, *batch.notes, *said),
    )


def _inference(model: Any, options: Options, placement: Placement) -> Workload:
    model = with_precision(model, options.precision)
    batch = batch_for(model, options, None)
    scopes = Scopes(layer_tree(model))
    xla, said = _resolve_xla(model, options, placement)
    step = inference_step(model, scopes, placement, xla=xla, eager=options.eager)
    return Workload(model, step, batch, scopes, xla, None, (*batch.notes, *said, *unused_in_inference(options)))


def unused_in_inference(options: Options) -> tuple[Note, ...]:
    """A note on options that only training knows."""
    unused = [f"--{name}" for name in ("loss", "optimizer") if getattr(options, name)]
    return (Note(message=f"{' and '.join(unused)}: unused, since inference has neither"),) if unused else ()


def _resolve_xla(model: Any, options: Options, placement: Placement) -> tuple[bool, tuple[Note, ...]]:
    """`--xla/--no-xla`, else what the compiled model asks for; on CPU always off unless asked for here."""
    if options.xla is not None:
        return options.xla, ()
    wanted = bool(model.compiled and model.jit_compile) and not options.eager
    if wanted and placement.kind == "CPU":
        message = "the model was compiled with jit_compile=True; on CPU tfopt leaves XLA off"
        return False, (Note(message=message, hint="profile it under XLA with --xla"),)
    if model.compiled and model.run_eagerly and not options.eager:
        message = "the model was compiled with run_eagerly=True; tfopt measures its graph"
        return wanted, (Note(message=message, hint="profile it op by op with --eager"),)
    return wanted, ()
