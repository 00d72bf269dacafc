"""The batch of a run, from the source that `--data` names: a registry by the source's form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfopt.errors import InputError, UsageError
from tfopt.model.inputs import fixed_batch, input_specs, pack_inputs
from tfopt.workload import data
from tfopt.workload.batch import DEFAULT_BATCH, Batch, batch_length, default_lengths, draw_inputs, resolve_shapes
from tfopt.workload.fitting import check_shapes, known_specs
from tfopt.workload.memory import refuse_hopeless
from tfopt.workload.options import Options
from tfopt.workload.targets import draw_targets

__all__ = ["Targets", "batch_for", "output_names", "outputs_of"]


@dataclass(frozen=True)
class Targets:
    """What a loss compares a model's outputs with: drawn for it, or taken from arrays by the outputs' names."""

    model: Any
    loss: Any
    required: bool  # a model's own training step may do without
    or_else: str = ""  # what a command has for data without them

    @property
    def missing(self) -> str | None:
        """How the hint ends where they are missing; None where they may be."""
        return (f", or {self.or_else}" if self.or_else else "") if self.required else None

    def draw(self, x: Any, rng: np.random.Generator) -> Any:
        """Synthetic targets for the inputs `x`."""
        structure = outputs_of(self.model, x)
        shapes = [tuple(tensor.shape) for tensor in keras.tree.flatten(structure)]
        if any(length is None for shape in shapes for length in shape):
            raise InputError(
                "the shape of the model's output depends on its values: targets cannot be drawn",
                "bring them with --data",
            )
        return draw_targets(self.loss, shapes, output_names(self.model, structure), structure, rng)

    def pack(self, arrays: dict[str, Any], x: Any) -> Any | None:
        """The arrays called like the outputs, in the outputs' structure; None where one is missing."""
        structure = outputs_of(self.model, x)
        names = output_names(self.model, structure)
        if any(name not in arrays for name in names):
            return None
        return keras.tree.pack_sequence_as(structure, [arrays[name] for name in names])


def batch_for(model: Any, options: Options, targets: Targets | None) -> Batch:
    """The batch for a step of `model`; without `targets` it holds inputs only.

    Raises UsageError where options contradict the data, InputError where the data cannot be used.
    """
    for fits, make in _SOURCES:
        if fits(options.data):
            return make(model, options, targets)
    raise UsageError(f"unknown data source {options.data!r}", "use synthetic, a FILE.npz or package.module:function")


def _from_function(model: Any, options: Options, targets: Targets | None) -> Batch:
    for option, given in (("--batch-size", options.batch_size), ("--input-shape", options.input_shape)):
        if given:
            raise UsageError(f"{option} has no effect on --data {options.data}", "the data set makes its own batches")
    batch = data.from_function(options.data, None if targets is None else targets.missing)
    if len(specs := known_specs(model)) == 1:  # several may come in any structure that the model's call takes
        check_shapes(specs, keras.tree.flatten(batch.x), options.data)
    return batch


def _from_npz(model: Any, options: Options, targets: Targets | None) -> Batch:
    if options.input_shape:
        raise UsageError(f"--input-shape has no effect on --data {options.data}", "the arrays have their own shapes")
    specs = input_specs(model)

    def pack(flat: list[Any]) -> Any:
        check_shapes(known_specs(model), flat, options.data)
        return pack_inputs(model, flat)

    return data.from_npz(
        options.data,
        specs,
        options.batch_size or fixed_batch(specs),
        pack,
        targets.pack if targets is not None else None,
        None if targets is None else targets.missing,
    )


def _synthetic(model: Any, options: Options, targets: Targets | None) -> Batch:
    specs = input_specs(model, input_shape=options.input_shape)
    fixed = fixed_batch(specs)
    if fixed is not None and options.batch_size not in (None, fixed):
        raise UsageError(f"the model's batch is fixed at {fixed}", "leave --batch-size out")
    if isinstance(model, keras.Model):
        refuse_hopeless(model, fixed or options.batch_size or DEFAULT_BATCH)
    rng = np.random.default_rng(options.seed)
    shapes, lengths = resolve_shapes(specs, options.batch_size or DEFAULT_BATCH, options.input_shape)
    tensors, described = draw_inputs(specs, shapes, rng, lengths)
    x = pack_inputs(model, tensors)
    y = None if targets is None else targets.draw(x, rng)
    size = next(iter(shapes.values()))[0]
    return Batch(x, y, None, described, size, "synthetic", notes=default_lengths(specs, lengths))


Make = Callable[[Any, Options, Targets | None], Batch]
_SOURCES: tuple[tuple[Callable[[str], bool], Make], ...] = (
    (lambda source: source == "synthetic", _synthetic),
    (lambda source: source.endswith(".npz"), _from_npz),
    (lambda source: ":" in source, _from_function),
)


def outputs_of(model: Any, x: Any) -> Any:
    """The structure and shapes of the outputs for `x`, without running the model where its graph tells them."""
    known = getattr(model, "outputs", None)
    batch = batch_length(x)
    if known and all(length is not None for tensor in known for length in tensor.shape[1:]):
        specs = [tf.TensorSpec(_batched(tensor.shape, batch), tensor.dtype) for tensor in known]
        return specs[0] if isinstance(model, keras.Sequential) else keras.tree.pack_sequence_as(model.output, specs)
    traced = tf.function(lambda inputs: model(inputs, training=False), autograph=False)
    return traced.get_concrete_function(x).structured_outputs


def _batched(shape: tuple[int | None, ...], size: int) -> tuple[int | None, ...]:
    return (shape[0] or size, *shape[1:]) if shape else ()


def output_names(model: Any, structure: Any) -> list[str]:
    """What the outputs of that structure are called, flat: as in a dict, else by their layers."""
    if isinstance(structure, dict):
        return [str(path[0]) for path, _ in keras.tree.flatten_with_path(structure)]
    names = getattr(model, "output_names", None)
    count = len(keras.tree.flatten(structure))
    return list(names) if names and len(names) == count else [f"output_{number}" for number in range(count)]
