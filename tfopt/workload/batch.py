"""One batch for the step, and synthetic inputs that fit a model."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfopt.errors import InputError, UsageError
from tfopt.model.inputs import InputSpec, Layout
from tfopt.records.base import Note
from tfopt.records.profile import InputInfo
from tfopt.report.units import percent

__all__ = [
    "DRAWN_BYTES",
    "Batch",
    "batch_length",
    "bounding_shape",
    "default_lengths",
    "draw_inputs",
    "most_examples",
    "resolve_shapes",
]

DEFAULT_BATCH = 32
# A free dimension gets this length: one free dimension is a sequence, two or more an image or a volume.
FREE_SEQUENCE, FREE_IMAGE = 32, 64
# One input's numbers in a batch: 4 GB as float32.
_MAX_ELEMENTS = 10**9
DRAWN_BYTES = 16
"""What a number takes while it is drawn: as float64, as float32, and in the tensor."""
# Of a sparse input's values, how many are there.
_DENSITY = 0.1
_FIXED = "its shape is fixed: leave --input-shape out (app:NAME takes --input-size)"


@dataclass(frozen=True)
class Batch:
    """What one step is given. `x`, `y` and `sample_weight` are structures of tensors (y and weights may be None).

    `batches` yields a new (x, y, sample_weight) per step where the data is a pipeline; None for one resident batch.
    """

    x: Any
    y: Any
    sample_weight: Any
    inputs: tuple[InputInfo, ...]
    size: int
    source: str
    batches: Iterator[Any] | None = None
    notes: tuple[Note, ...] = ()

    @property
    def arguments(self) -> tuple[Any, Any, Any]:
        """The step's arguments."""
        return self.x, self.y, self.sample_weight


def resolve_shapes(
    specs: Sequence[InputSpec], batch_size: int, shapes: Sequence[str]
) -> tuple[dict[str, tuple[int, ...]], dict[str, int]]:
    """The full shape of each input: `--input-shape` first, then the model's, then a default length for what is free;
    and that length for each input that got it."""
    given = _parse_shapes(shapes, specs)
    lengths = {spec.name: _length(spec) for spec in specs if None in spec.shape[1:] and spec.name not in given}
    resolved = {}
    for spec in specs:
        fitting = _filled(spec, given.get(spec.name, ()))
        if given.get(spec.name, fitting) != fitting:
            raise UsageError(
                f"input {spec.name} takes the shape {_text(spec.shape[1:])}, not {_text(given[spec.name])}",
                f"give one that fits: {_option(spec, fitting)}" if None in spec.shape[1:] else _FIXED,
            )
        resolved[spec.name] = (spec.shape[0] or batch_size, *fitting)
    return resolved, lengths


def default_lengths(specs: Sequence[InputSpec], lengths: dict[str, int]) -> tuple[Note, ...]:
    """What to say of inputs that got a default length from `resolve_shapes`."""
    free = [spec for spec in specs if spec.name in lengths]
    if not free:
        return ()
    shapes = "; ".join(f"{spec.name} {_text(spec.shape[1:])} → {_text(_filled(spec))}" for spec in free)
    return (
        Note(
            message=f"free input dimensions got a default length, and the result is for that length: {shapes}",
            hint=f"give that of your data; the default is {_options(free)}",
        ),
    )


def _length(spec: InputSpec) -> int:
    return FREE_SEQUENCE if spec.shape[1:].count(None) == 1 else FREE_IMAGE


def _filled(spec: InputSpec, given: Sequence[int] = ()) -> tuple[int, ...]:
    """One example's shape: what is free as in `given`, if that has as many dimensions, else of the default length."""
    own = spec.shape[1:]
    likely = given if len(given) == len(own) else [_length(spec)] * len(own)
    return tuple(size if fixed is None else fixed for fixed, size in zip(own, likely, strict=True))


def _options(specs: Sequence[InputSpec]) -> str:
    """What to write for the inputs that leave something open; '' where none does."""
    return " ".join(_option(spec, _filled(spec)) for spec in specs if None in spec.shape[1:])


def _option(spec: InputSpec, shape: Sequence[int]) -> str:
    return f"--input-shape {shlex.quote(spec.name + '=' + ','.join(map(str, shape)))}"


def _text(shape: Sequence[int | None]) -> str:
    return "(" + ", ".join("?" if size is None else str(size) for size in shape) + ")"


def _parse_shapes(shapes: Sequence[str], specs: Sequence[InputSpec]) -> dict[str, tuple[int, ...]]:
    parsed = {}
    names = [spec.name for spec in specs]
    options = _options(specs)
    hint = f"write {options}" if options else _FIXED
    for text in shapes:
        name, _, sizes = text.rpartition("=")
        if not name and len(names) != 1:
            inputs = f"{len(names)} inputs ({', '.join(names)})"
            raise UsageError(f"the model has {inputs}: --input-shape must name one", hint)
        name = name or names[0]
        if name not in names:
            raise UsageError(f"the model has no input {name!r}, but {', '.join(names)}", hint)
        try:
            parsed[name] = tuple(int(size) for size in sizes.split(",") if size.strip())
        except ValueError as error:
            raise UsageError(f"{sizes!r} is not a shape", "write numbers with commas, as in 96,96,3") from error
        if any(size < 1 for size in parsed[name]):
            raise UsageError(f"{sizes!r} has a dimension below 1", "write the shape without the batch") from None
    return parsed


def draw_inputs(
    specs: Sequence[InputSpec],
    shapes: dict[str, tuple[int, ...]],
    rng: np.random.Generator,
    lengths: dict[str, int],
) -> tuple[list[Any], tuple[InputInfo, ...]]:
    """Synthetic tensors for each input, in order, and how each was drawn, with its default length if it got one."""
    tensors, described = [], []
    for spec in specs:
        shape = shapes[spec.name]
        if math.prod(shape) > _MAX_ELEMENTS:
            own = None not in spec.shape[1:] and math.prod(shape[1:]) > _MAX_ELEMENTS
            raise (InputError if own else UsageError)(
                f"input {spec.name} of shape {_text(shape)} would hold {math.prod(shape):.1e} numbers",
                "save the model for smaller inputs" if own else "choose a smaller --batch-size or --input-shape",
            )
        if 0 in shape:
            raise InputError(
                f"input {spec.name} has the shape {_text(shape)}: it holds no values, so that nothing is computed",
                "TensorFlow's kernels may end the process on it; build the model with an input of at least one value",
            )
        values, how = _draw(spec, shape, rng)
        tensor, arranged = _LAYOUTS[spec.layout](tf.constant(values, dtype=spec.dtype), rng)
        tensors.append(tensor)
        free = f", free length {lengths[spec.name]} (default)" if spec.name in lengths else ""
        described.append(InputInfo(name=spec.name, shape=shape, dtype=spec.dtype, values=how + arranged + free))
    return tensors, tuple(described)


def most_examples(inputs: Sequence[InputInfo]) -> int:
    """The largest batch of such inputs that `draw_inputs` draws."""
    return min(_MAX_ELEMENTS // math.prod(info.shape[1:]) for info in inputs)


def _dense(tensor: Any, rng: np.random.Generator) -> tuple[Any, str]:
    return tensor, ""


def _sparse(tensor: Any, rng: np.random.Generator) -> tuple[Any, str]:
    """A tenth of the values, at random places; in each row at least one."""
    chosen = rng.random(tensor.shape) < _DENSITY
    chosen.reshape(len(chosen), -1)[:, 0] = True
    indices = np.argwhere(chosen)
    return tf.SparseTensor(
        indices, tf.gather_nd(tensor, indices), tensor.shape
    ), f", sparse: {percent(_DENSITY)} of them"


def _ragged(tensor: Any, rng: np.random.Generator) -> tuple[Any, str]:
    """Rows of random lengths, the first of full length."""
    batch, longest = tensor.shape[:2]
    lengths = [longest, *rng.integers(1, longest + 1, batch - 1)]
    return tf.RaggedTensor.from_tensor(tensor, lengths), f", ragged: rows of 1 to {longest}"


_LAYOUTS: dict[Layout, Callable[[Any, np.random.Generator], tuple[Any, str]]] = {
    "dense": _dense,
    "sparse": _sparse,
    "ragged": _ragged,
}


def batch_length(tensors: Any) -> int:
    """How many examples the first tensor of a structure holds."""
    first = keras.tree.flatten(tensors)[0]
    return int(first.shape[0] if first.shape[0] is not None else first.nrows())  # only ragged ones do not say


def bounding_shape(tensor: Any) -> tuple[int, ...]:
    """The shape of a tensor; of a ragged one, of the smallest that would hold it."""
    ragged = isinstance(tensor, tf.RaggedTensor)
    return tuple(int(length) for length in (tensor.bounding_shape() if ragged else tensor.shape))


def _draw(spec: InputSpec, shape: tuple[int, ...], rng: np.random.Generator) -> tuple[Any, str]:
    if spec.dtype == "string":
        words = np.array(["the", "quick", "brown", "fox", "jumps", "over", "a", "lazy", "dog"])
        return words[rng.integers(0, len(words), shape)], "random words"
    if spec.dtype == "bool":
        return rng.integers(0, 2, shape).astype(bool), "random booleans"
    if spec.vocabulary is not None:
        return rng.integers(0, spec.vocabulary, shape), f"integers below {spec.vocabulary}"
    if keras.backend.is_int_dtype(spec.dtype):
        return rng.integers(0, 2, shape), "integers 0 and 1"
    return rng.standard_normal(shape).astype("float32"), "standard normal"
