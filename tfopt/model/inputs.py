"""What a model takes: the name, shape, dtype and vocabulary of each input tensor."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import keras
import tensorflow as tf

from tfopt.errors import InputError, UsageError
from tfopt.model.gathers import concrete_bounds
from tfopt.model.savedmodel import ServingFunction
from tfopt.model.text import one_line
from tfopt.model.vocabulary import embedding_rows, graph_vocabularies, traced_vocabularies

__all__ = ["InputSpec", "Layout", "fixed_batch", "input_specs", "pack_inputs"]

Shape = tuple[int | None, ...]
Layout = Literal["dense", "sparse", "ragged"]

# Dtypes that a model of unknown graph may take; most read numbers, some refuse anything but integers.
_TRIED_DTYPES = ("float32", "int32")


@dataclass(frozen=True)
class InputSpec:
    """One input tensor.

    `shape` has the batch first, and None where a dimension is free. `vocabulary` is set where the values are looked
    up: they must be integers from 0 to below it, whatever the dtype. `layout` is what kind of tensor the model takes;
    the rows of a ragged one differ in their first dimension.
    """

    name: str
    shape: Shape
    dtype: str
    vocabulary: int | None = None
    layout: Layout = "dense"


def fixed_batch(specs: Iterable[InputSpec]) -> int | None:
    """How many examples a model with these inputs takes at once; None where that is free."""
    return next((spec.shape[0] for spec in specs if spec.shape[0] is not None), None)


def input_specs(model: Any, *, input_shape: Sequence[str] = ()) -> tuple[InputSpec, ...]:
    """The inputs of a Keras model or a `ServingFunction`, in the order of its flat inputs.

    Args:
        model: what `tfopt.model.load` gives, or any built Keras model.
        input_shape: the user's shapes (`"96,96,3"`, `"tokens=128"`, without the batch), read only where the model does
            not know its own.

    Raises:
        InputError: neither the model nor `input_shape` says what the shapes are.
        UsageError: an `input_shape` is not a shape.
    """
    if isinstance(model, ServingFunction):
        return _serving(model, input_shape)
    if _graph_inputs(model):
        return _graph(model)
    return _subclassed(model, input_shape)


def pack_inputs(model: Any, tensors: Sequence[Any]) -> Any:
    """Flat tensors, in the order of `input_specs`, in the structure that the model's call takes."""
    if isinstance(model, ServingFunction):
        return dict(zip(model.input_specs, tensors, strict=True))
    if isinstance(model, keras.Sequential):
        return tensors[0]
    if _graph_inputs(model):
        return keras.tree.pack_sequence_as(model.input, list(tensors))
    structure = (model.get_build_config() or {}).get("input_shape")
    if isinstance(structure, dict) and len(structure) == len(tensors):
        return dict(zip(sorted(structure), tensors, strict=True))
    return tensors[0] if len(tensors) == 1 else list(tensors)


def _graph_inputs(model: Any) -> list[Any]:
    """The symbolic inputs of a Functional or built Sequential model; none for others."""
    try:
        return list(model.inputs or ())
    except (AttributeError, ValueError):
        return []


def _name(tensor: Any) -> str:
    """The InputLayer's name: a tensor that was not loaded from a file is called after a counter."""
    history = getattr(tensor, "_keras_history", None)
    layer = history.operation if history is not None else None
    return str(layer.name if isinstance(layer, keras.layers.InputLayer) else tensor.name)


def _graph(model: Any) -> tuple[InputSpec, ...]:
    vocabularies = graph_vocabularies(model)
    return tuple(
        InputSpec(
            _name(tensor),
            tuple(tensor.shape),
            str(tensor.dtype),
            vocabulary if keras.backend.standardize_dtype(tensor.dtype) != "string" else None,
            "sparse" if tensor.sparse else "ragged" if tensor.ragged else "dense",
        )
        for tensor, vocabulary in zip(_graph_inputs(model), vocabularies, strict=True)
    )


def _serving(serving: ServingFunction, input_shape: Sequence[str]) -> tuple[InputSpec, ...]:
    given = dict(_parsed(input_shape, list(serving.input_specs)))
    bounds = concrete_bounds(serving.concrete)
    named = serving.concrete.structured_input_signature[1]
    specs = []
    for name, (shape, dtype) in serving.input_specs.items():
        known = shape if shape is not None else given.get(name)
        if known is None:
            raise _ask_for_shape(serving.name, f"its input {one_line(name, 60)} has no known shape")
        specs.append(InputSpec(name, known, dtype, bounds.get(named[name].name, bounds.get(name))))
    return tuple(specs)


def _ask_for_shape(name: str, why: str) -> InputError:
    return InputError(
        f"{one_line(name, 60)} does not say what input it takes: {why}",
        "give the shape without the batch, as in --input-shape 96,96,3 (several inputs: --input-shape name=96,96,3)",
    )


def _parsed(texts: Sequence[str], names: Sequence[str]) -> Iterator[tuple[str, Shape]]:
    """Names and shapes of `NAME=SIZES` or `SIZES`; the batch is free."""
    for number, text in enumerate(texts):
        name, _, sizes = text.rpartition("=")
        try:
            shape = tuple(int(size) for size in sizes.split(",") if size.strip())
        except ValueError:
            raise UsageError(
                f"{one_line(sizes, 60)} is not a shape", "write numbers with commas, as in 96,96,3"
            ) from None
        if min(shape, default=1) < 1:
            raise UsageError(f"{one_line(sizes, 60)} has a dimension below 1", "write the shape without the batch")
        default = names[number] if number < len(names) else f"input_{number}"
        yield name or default, (None, *shape)


def _is_shape(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(size is None or isinstance(size, int) for size in value)


def _flat_shapes(value: Any, name: str) -> Iterator[tuple[str, Shape]]:
    """Every shape in a structure of shapes, named by its keys or numbers."""
    if _is_shape(value):
        yield name, tuple(value)
    elif isinstance(value, dict):
        for key in sorted(value):
            yield from _flat_shapes(value[key], str(key))
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            yield from _flat_shapes(item, f"{name}_{number}")


def _built_shapes(model: Any) -> list[tuple[str, Shape]]:
    """The shapes that a subclassed model was built with: its file says, or it was called."""
    config = model.get_build_config() or {}
    if config.get("input_shape") is not None:
        return list(_flat_shapes(config["input_shape"], "input"))
    shapes = config.get("shapes_dict") or {}
    return [found for key, shape in shapes.items() for found in _flat_shapes(shape, key.removesuffix("_shape"))]


def _subclassed(model: Any, input_shape: Sequence[str]) -> tuple[InputSpec, ...]:
    shapes = list(_parsed(input_shape, ())) or _built_shapes(model)
    if not shapes:
        raise _ask_for_shape(str(getattr(model, "name", "the model")), f"{type(model).__name__} was built without one")
    # The batch that happened to be there when it was built is not the model's.
    shapes = [(name, (None, *shape[1:])) for name, shape in shapes]
    dtype, vocabularies = _traced(lambda *tensors: model(pack_inputs(model, tensors)), shapes, embedding_rows(model))
    return tuple(
        InputSpec(name, shape, dtype, vocabularies.get(position)) for position, (name, shape) in enumerate(shapes)
    )


def _traced(
    call: Callable[..., Any], shapes: Sequence[tuple[str, Shape]], rows: Sequence[int]
) -> tuple[str, dict[int, int]]:
    """The dtype that the model takes and what its inputs look up; by its Embeddings where it cannot be traced."""
    for dtype in _TRIED_DTYPES:
        specs = [tf.TensorSpec(shape, dtype, name=f"tfopt_{number}") for number, (_, shape) in enumerate(shapes)]
        try:
            return dtype, traced_vocabularies(call, specs)
        except Exception:  # the model's own code; the step will say what is wrong with it
            continue
    fewest = min(rows, default=None)
    return _TRIED_DTYPES[0], {} if fewest is None else dict.fromkeys(range(len(shapes)), fewest)
