"""The user's samples, checked against what a model takes, and cut into batches of one size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfopt.errors import InputError, UsageError
from tfopt.model.inputs import InputSpec, fixed_batch, input_specs, pack_inputs
from tfopt.pathways.models import check_model
from tfopt.wording import counted, listed

__all__ = ["Samples", "samples_of"]

_NUMBERS = "biufV"  # V: bfloat16


@dataclass(frozen=True)
class Samples:
    """`x` (and `y`, which may be None) as structures of arrays with `count` samples, for batches of `batch_size`, which
    may be `fixed` by the model."""

    x: Any
    y: Any
    count: int
    batch_size: int
    fixed: bool

    def batches(self) -> Iterator[np.ndarray]:
        """The samples' numbers, batch by batch; the last batch may be smaller."""
        return iter(np.split(np.arange(self.count), range(self.batch_size, self.count, self.batch_size)))

    def cut(self, numbers: np.ndarray) -> tuple[Any, Any]:
        """Inputs and targets of these samples."""
        cut: tuple[Any, Any] = keras.tree.map_structure(
            lambda array: None if array is None else tf.convert_to_tensor(array[numbers]), (self.x, self.y)
        )
        return cut

    def taken(self, numbers: np.ndarray) -> tuple[Any, Any]:
        """Inputs of these samples and of the first of them again, up to a whole batch; and what each counts: 1 or,
        where it is there again, 0. Batches of one size make for one compiled function."""
        padded = np.concatenate([numbers, np.full(self.batch_size - len(numbers), numbers[0])])
        weights = np.arange(self.batch_size) < len(numbers)
        return self.cut(padded)[0], tf.constant(weights, tf.float64)


def samples_of(model: Any, x: Any, y: Any = None, *, batch_size: int = 32) -> Samples:
    """Arrays as the model takes them, in batches of `batch_size`, or of the size that the model's input says.

    Args:
        model: a built Keras model.
        x: an array of samples; a list or dict of them (by the inputs' names) for several inputs.
        y: targets, an array or a structure of them, or None.
        batch_size: samples per batch, at most.

    Raises:
        InputError: there are no samples, their shapes do not fit the model or each other, or values are not finite.
        UsageError: the batch size is below 1.
    """
    if batch_size < 1:
        raise UsageError(f"a batch size of {batch_size} holds nothing", "give 1 or more")
    check_model(model)
    specs = input_specs(model) if getattr(model, "inputs", None) else ()
    if x is None:
        raise InputError("there are no samples", "give arrays with the batch first")
    arrays = [_array(each) for each in _ordered(model, x, specs)] if specs else keras.tree.map_structure(_array, x)
    flat = keras.tree.flatten(arrays)
    names = [spec.name for spec in specs] or [str(number) for number in range(len(flat))]
    targets = keras.tree.map_structure(_array, y)
    every = [
        *zip(names, flat, strict=True),
        *(("y", array) for array in keras.tree.flatten(targets) if array is not None),
    ]
    count = _count(every)
    for spec, array in zip(specs, flat, strict=False):
        _check_shape(spec, array)
    for name, array in every:
        _check_finite(name, array)
    if specs:
        arrays = pack_inputs(model, [_cast(spec, array) for spec, array in zip(specs, flat, strict=True)])
    fixed = fixed_batch(specs)
    return Samples(arrays, targets, count, fixed or min(batch_size, count), fixed is not None)


def _array(leaf: Any) -> np.ndarray | None:
    if leaf is None:  # an output without a target
        return None
    if isinstance(leaf, tf.RaggedTensor | tf.SparseTensor):
        raise InputError(
            f"the samples are a {type(leaf).__name__}", "give arrays: x.to_tensor() or tf.sparse.to_dense(x)"
        )
    try:
        return np.asarray(leaf)
    except ValueError as error:  # lists of several lengths
        raise InputError("the samples are lists that make no array", "give arrays with the batch first") from error


def _ordered(model: Any, x: Any, specs: Sequence[InputSpec]) -> list[Any]:
    """One array per input, in the order of the model's inputs."""
    names = [spec.name for spec in specs]
    if isinstance(x, Mapping):
        keys = list(model.input) if isinstance(getattr(model, "input", None), Mapping) else []
        known = next((each for each in (names, sorted(keys)) if each and set(each) <= set(x)), None)
        if known is None:
            missing = [name for name in names if name not in x]
            raise InputError(f"x has nothing for the input {listed(missing)}", f"it has {listed(list(map(str, x)))}")
        return [x[name] for name in known]
    several = isinstance(x, list | tuple) and (len(specs) > 1 or all(hasattr(each, "shape") for each in x))
    flat = list(x) if several else [x]
    if len(flat) == len(specs):
        return flat
    raise InputError(
        f"the model takes {counted(len(specs), 'input')} ({listed(names)}), x has {len(flat)}",
        "give a list with an array for each, or a dict by their names",
    )


def _count(arrays: Sequence[tuple[str, np.ndarray]]) -> int:
    for name, array in arrays:
        if not array.ndim:
            raise InputError(f"{_named(name)} is a single value", "give samples with the batch first")
        if not array.size:
            raise InputError(f"{_named(name)} has no values: its shape is {array.shape}", "give at least one sample")
    lengths = [len(array) for _, array in arrays]
    if len(set(lengths)) != 1:
        found = ", ".join(f"{_named(name)} {length}" for (name, _), length in zip(arrays, lengths, strict=True))
        raise InputError(f"the numbers of samples differ: {found or 'there is no array'}", "give as many of each")
    return lengths[0]


def _named(name: str) -> str:
    return name if name == "y" else f"input {name}"


def _check_shape(spec: InputSpec, array: np.ndarray) -> None:
    wanted, given = spec.shape[1:], array.shape[1:]
    fits = len(wanted) == len(given) and all(size in (None, own) for size, own in zip(wanted, given, strict=True))
    if not fits:
        shape = ", ".join("?" if size is None else str(size) for size in wanted)
        raise InputError(
            f"input {spec.name} takes samples of the shape ({shape}), not {given}",
            "give an array with the batch first, as model.predict takes it",
        )


def _cast(spec: InputSpec, array: np.ndarray) -> np.ndarray:
    if spec.dtype == "string":
        return array
    if array.dtype.kind not in _NUMBERS:
        raise InputError(
            f"input {spec.name} takes {spec.dtype}, not {array.dtype}",
            "give an array of numbers, as model.predict takes it",
        )
    with np.errstate(over="ignore"):
        cast = array.astype(tf.as_dtype(spec.dtype).as_numpy_dtype, copy=False)
    _check_finite(spec.name, cast)
    return cast


def _check_finite(name: str, array: np.ndarray) -> None:
    if array.dtype.kind not in "fc":
        return
    wrong = array.size - int(np.isfinite(array).sum())
    if wrong:
        raise InputError(
            f"{_named(name)} holds {counted(wrong, 'value')} that {'is' if wrong == 1 else 'are'} NaN or infinite",
            "clean the data first: nothing can be attributed to such values",
        )
