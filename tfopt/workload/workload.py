"""Put a workload together: a loaded model, a batch, a placement and a precision, made into one step."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from tfopt.errors import InputError, UsageError
from tfopt.model.inputs import InputSpec, input_specs, pack_inputs
from tfopt.model.layers import layer_tree
from tfopt.records.base import Note
from tfopt.workload import data as sources
from tfopt.workload.batch import DEFAULT_BATCH, Batch, draw_inputs, resolve_shapes
from tfopt.workload.device import Placement
from tfopt.workload.precision import with_precision
from tfopt.workload.preserve import optimizers_of
from tfopt.workload.scopes import Scopes
from tfopt.workload.step import Step, inference_step, training_step
from tfopt.workload.targets import draw_targets, infer_loss, loss_name

__all__ = ["Options", "Workload", "prepare"]


@dataclass(frozen=True)
class Options:
    """How to run a model. `input_shape` entries are `96,96,3` or `NAME=96,96,3`, without the batch."""

    mode: Literal["train", "infer"] = "train"
    batch_size: int | None = None
    input_shape: tuple[str, ...] = ()
    data: str = "synthetic"
    loss: str | None = None
    optimizer: str | None = None
    precision: str = "float32"
    xla: bool | None = None
    eager: bool = False
    seed: int = 0


@dataclass(frozen=True)
class Workload:
    """A step with its batch, ready to run. `xla` is what `Options.xla` resolved to."""

    model: Any
    step: Step
    batch: Batch
    scopes: Scopes
    xla: bool
    loss: str | None
    optimizer: str | None
    notes: tuple[Note, ...]

    def runner(self) -> Callable[[], Any]:
        """A call that runs the next step."""
        if self.batch.batches is None:
            return lambda: self.step(*self.batch.arguments)
        batches = self.batch.batches
        return lambda: self.step(*next(batches))


def prepare(model: Any, options: Options, placement: Placement) -> Workload:
    """The workload of a Keras model. Raises InputError or UsageError where model, data and options do not fit."""
    if options.eager and options.xla:
        raise UsageError("--eager and --xla exclude each other", "XLA compiles a graph; choose one of them")
    notes: list[Note] = []
    training = options.mode == "train"
    if training:
        notes += _compile(model, options)
        if not model.trainable_variables:
            raise InputError(
                f"{model.name} has no trainable weights: there is nothing to train", "profile it with --mode infer"
            )
    model = with_precision(model, options.precision)
    batch = _batch(model, options)
    scopes = Scopes(layer_tree(model))
    xla, said = _resolve_xla(model, options, placement)
    make = training_step if training else inference_step
    if training:
        _build_training_state(model, batch)
    step = make(model, scopes, placement, xla=xla, eager=options.eager)
    return Workload(
        model,
        step,
        batch,
        scopes,
        xla,
        loss_name(model.loss) if training and model.loss is not None else None,
        _optimizer_name(model.optimizer) if training else None,
        (*notes, *batch.notes, *said),
    )


def _compile(model: Any, options: Options) -> list[Note]:
    """Give the model a loss and an optimizer where it has none, or where the user chose others."""
    compiled = bool(model.compiled)
    optimizer: Any = options.optimizer or (model.optimizer if compiled else None) or "adam"
    loss: Any = options.loss or (model.loss if compiled else None)
    if compiled and not options.loss and not options.optimizer and model.optimizer is not None:
        return []
    notes = []
    if loss is None and not compiled:
        loss, reason = infer_loss(model)
        notes.append(
            Note(
                message=f"the model is not compiled: {loss_name(loss)} is assumed, since {reason}; optimizer adam",
                hint="choose with --loss and --optimizer",
            )
        )
    elif not compiled:
        notes.append(Note(message="the model is not compiled: optimizer adam is assumed", hint="or choose --optimizer"))
    try:
        model.compile(optimizer=optimizer, loss=loss)
        keras.losses.get(loss) if isinstance(loss, str) else None
    except ValueError as error:
        raise UsageError(str(error).splitlines()[0], "use names of keras.losses and keras.optimizers") from error
    return notes


def _build_training_state(model: Any, batch: Batch) -> None:
    """Create the variables of the optimizer and the loss before the step is traced: a variable that is created while
    tracing makes `tf.function` trace twice."""
    for optimizer in optimizers_of(model):
        if not optimizer.built:
            optimizer.build(model.trainable_variables)
    loss = getattr(model, "_compile_loss", None)
    if loss is not None and not loss.built and len(keras.tree.flatten(batch.y)) > 1:  # then each loss has a metric
        loss.build(batch.y, _outputs(model, batch.x))


def _optimizer_name(optimizer: Any) -> str:
    inner = getattr(optimizer, "inner_optimizer", None)
    return f"{inner.name} with loss scaling" if inner is not None else str(optimizer.name)


def _resolve_xla(model: Any, options: Options, placement: Placement) -> tuple[bool, tuple[Note, ...]]:
    """`--xla/--no-xla`, else what the compiled model asks for; on CPU always off unless asked for here."""
    if options.xla is not None:
        return options.xla, ()
    wanted = bool(model.compiled and model.jit_compile) and not options.eager
    if wanted and placement.kind == "CPU":
        message = "the model was compiled with jit_compile=True; on CPU tfopt leaves XLA off"
        return False, (Note(message=message, hint="profile it under XLA with --xla"),)
    return wanted, ()


def _batch(model: Any, options: Options) -> Batch:
    training = options.mode == "train"
    if ":" in options.data and not options.data.endswith(".npz"):
        return sources.from_function(options.data, training and model.loss is not None)
    specs = input_specs(model, input_shape=options.input_shape)
    if options.data.endswith(".npz"):
        pack = functools.partial(pack_inputs, model)
        return sources.from_npz(options.data, specs, options.batch_size, pack, training)
    if options.data != "synthetic":
        raise UsageError(
            f"unknown data source {options.data!r}", "use synthetic, a FILE.npz or package.module:function"
        )
    return _synthetic(model, specs, options)


def _synthetic(model: Any, specs: tuple[InputSpec, ...], options: Options) -> Batch:
    rng = np.random.default_rng(options.seed)
    shapes, notes = resolve_shapes(specs, options.batch_size or DEFAULT_BATCH, options.input_shape)
    tensors, described = draw_inputs(specs, shapes, rng)
    x = pack_inputs(model, tensors)
    y = None
    if options.mode == "train" and model.loss is not None:
        structure = _outputs(model, x)
        flat = keras.tree.flatten(structure)
        y = draw_targets(model.loss, [tuple(t.shape) for t in flat], _output_names(model, structure), structure, rng)
    size = next(iter(shapes.values()))[0]
    return Batch(x, y, None, described, size, "synthetic", notes=notes)


def _outputs(model: Any, x: Any) -> Any:
    """The structure and shapes of the outputs for `x`, without running the model where its graph tells them."""
    known = getattr(model, "outputs", None)
    size = int(keras.tree.flatten(x)[0].shape[0])
    if known and all(size is not None for tensor in known for size in tensor.shape[1:]):
        specs = [tf.TensorSpec((tensor.shape[0] or size, *tensor.shape[1:]), tensor.dtype) for tensor in known]
        return specs[0] if isinstance(model, keras.Sequential) else keras.tree.pack_sequence_as(model.output, specs)
    traced = tf.function(lambda batch: model(batch, training=False), autograph=False)
    return traced.get_concrete_function(x).structured_outputs


def _output_names(model: Any, structure: Any) -> list[str]:
    if isinstance(structure, dict):
        return [str(path[0]) for path, _ in keras.tree.flatten_with_path(structure)]
    names = getattr(model, "output_names", None)
    count = len(keras.tree.flatten(structure))
    return list(names) if names and len(names) == count else [f"output_{number}" for number in range(count)]
