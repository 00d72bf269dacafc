"""The user's own data: an .npz file or a `tf.data` pipeline."""

from __future__ import annotations

import importlib
import os
import re
import sys
import zipfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfopt.errors import InputError, UsageError
from tfopt.model.inputs import InputSpec
from tfopt.model.steady import steady
from tfopt.records.base import Note
from tfopt.records.profile import InputInfo
from tfopt.trace.recording import marker_name
from tfopt.workload.batch import Batch, bounding_shape

__all__ = ["dataset_of", "ending_dataset_of", "from_function", "from_npz", "unpacked"]


def from_npz(
    path: str,
    specs: Sequence[InputSpec],
    batch_size: int | None,
    pack: Callable[[list[Any]], Any],
    pack_targets: Callable[[dict[str, Any], Any], Any] | None,
    or_else: str | None,
) -> Batch:
    """The first `batch_size` examples of an .npz file with `x` (or one array per input name), `y` (or one array per
    output name) and `sample_weight`. `pack` and `pack_targets` put flat tensors into the model's structures.

    Arrays of Python objects are refused: reading them would run pickled code. Without targets the hint ends with
    `or_else`; None where they may be missing.
    """
    names = [spec.name for spec in specs]
    arrays = _read_npz(
        path, _savez(path, [*(names if len(names) > 1 else ["x"]), *(["y"] if or_else is not None else [])])
    )
    flat = [arrays.get(name) for name in names]
    if len(specs) == 1 and flat[0] is None:
        flat = [arrays.get("x")]
    missing = [name for name, array in zip(names, flat, strict=True) if array is None]
    if missing:
        raise InputError(
            f"{path} has no array for {', '.join(missing)}",
            f"save the arrays {'x' if len(names) == 1 else ', '.join(names)} and y; it holds {', '.join(arrays)}",
        )
    taken = (*names, "x", "y", "sample_weight")  # others may be anything, but for targets by their outputs' names
    lengths = {name: len(array) for name, array in arrays.items() if name in taken or "y" not in arrays}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise InputError(f"the arrays of {path} differ in their number of examples: {told}", "save as many of each")
    size = min(batch_size or 32, *lengths.values())
    if size < 1 or any(0 in array.shape for array in flat if array is not None):
        raise InputError(f"{path} holds no examples, or empty ones", "save at least one example with a value in it")
    notes: tuple[Note, ...] = ()
    if batch_size and size < batch_size:
        notes = (Note(message=f"{path} holds {size} examples: the batch is {size}, not {batch_size}"),)
    tensors = [tf.cast(array[:size], spec.dtype) for array, spec in zip(flat, specs, strict=True) if array is not None]
    described = tuple(
        InputInfo(name=spec.name, shape=tuple(tensor.shape), dtype=tensor.dtype.name, values=f"from {path}")
        for spec, tensor in zip(specs, tensors, strict=True)
    )
    x = pack(tensors)
    if pack_targets is None:
        return Batch(x, None, None, described, size, path, notes=notes)
    cut = {name: tf.constant(array[:size]) for name, array in arrays.items()}
    y = cut["y"] if "y" in cut else pack_targets(cut, x)
    if y is None and or_else is not None:
        raise InputError(f"{path} has no array y", f"save the targets as y (several outputs: by their names){or_else}")
    return Batch(x, y, cut.get("sample_weight"), described, size, path, notes=notes)


def _savez(path: str, names: Sequence[str]) -> str:
    """The call that would write `path`."""
    if all(name.isidentifier() for name in names):
        return f"numpy.savez({path!r}, {', '.join(f'{name}=…' for name in names)})"
    return f"numpy.savez({path!r}, **{{{', '.join(f'{name!r}: …' for name in names)}}})"


def _read_npz(path: str, call: str) -> dict[str, Any]:
    """The arrays in `path`, which `call` would write."""
    try:
        with steady(path), np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except FileNotFoundError as error:
        raise InputError(f"the data {path} does not exist", f"check the path, or make it: {call}") from error
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        cause = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise InputError(f"cannot read the data {path}: {cause}", f"save it with {call}") from error
    except AttributeError as error:  # a bare .npy file
        raise InputError(f"{path} is not an .npz archive", f"save it with {call}") from error
    scalars = [name for name, array in arrays.items() if array.ndim == 0]
    if scalars:
        raise InputError(f"{path}: {scalars[0]} has no batch dimension", "save arrays of examples")
    return arrays


def ending_dataset_of(target: str) -> Any:
    """The data set of `target`, each example of which counts once: InputError where it says that it never ends."""
    dataset = dataset_of(target)
    if dataset.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise InputError(f"the data set of {target} never ends", "leave .repeat() out, or call .take(N) after it")
    return dataset


def from_function(target: str, or_else: str | None) -> Batch:
    """A pipeline from `package.module:function`, which returns a batched `tf.data.Dataset` of x, (x, y) or
    (x, y, sample_weight). It is repeated without end; waiting for a batch is recorded as the phase `input`."""
    iterator = iter(dataset_of(target).repeat())
    try:
        first = unpacked(next(iterator))
    except StopIteration:
        raise InputError(f"the data set of {target} is empty", "return at least one batch") from None
    if or_else is not None and first[1] is None:
        raise InputError(f"the data set of {target} has no targets", f"yield (x, y){or_else}")
    shapes = [bounding_shape(tensor) for tensor in keras.tree.flatten(first[0])]
    if () in shapes:
        raise InputError(f"the data set of {target} is not batched", "call .batch(N) on it")
    if any(0 in shape for shape in shapes):
        raise InputError(f"the first batch of {target} holds no values", "leave empty examples and batches out")
    described = tuple(
        InputInfo(
            name=".".join(str(part) for part in path) or "x",
            shape=shape,
            dtype=tensor.dtype.name,
            values=f"from {target}",
        )
        for (path, tensor), shape in zip(keras.tree.flatten_with_path(first[0]), shapes, strict=True)
    )

    def batches() -> Iterator[tuple[Any, Any, Any]]:
        yield first
        while True:
            try:
                with tf.profiler.experimental.Trace(marker_name("phase", "input")):
                    batch = unpacked(next(iterator))
            except tf.errors.OpError as error:
                raise InputError(
                    f"the data set of {target} failed: {_said(error)}", "iterate over it by itself"
                ) from error
            yield batch

    return Batch(*first, described, shapes[0][0], target, batches())


def _said(error: tf.errors.OpError) -> str:
    """The line of TensorFlow's message in which the pipeline's own code speaks."""
    lines = [line.strip() for line in (error.message or "").splitlines()]
    own = [line for line in lines if re.match(r"^\w*(Error|Exception)\b", line)]
    return (own or [re.sub(r"\{\{.*?\}\}\s*", "", line) for line in lines if line] or [type(error).__name__])[0][:200]


def unpacked(batch: Any) -> tuple[Any, Any, Any]:
    """A batch of a data set as x, y and sample weights, None for what it does not have."""
    return keras.utils.unpack_x_y_sample_weight(batch)  # type: ignore[no-any-return]


def dataset_of(target: str) -> Any:
    """The `tf.data.Dataset` that `package.module:function` returns. Raises UsageError or InputError."""
    module_name, _, name = target.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        function = getattr(importlib.import_module(module_name), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise UsageError(f"cannot find {target}: {error}", "write --data package.module:function") from error
    try:
        dataset = function()
    except Exception as error:
        raise InputError(f"{target} failed: {type(error).__name__}: {error}", "run it by itself first") from error
    if isinstance(dataset, tf.data.Dataset):
        return dataset
    raise InputError(
        f"{target} returned {type(dataset).__name__}, not a tf.data.Dataset", "return a batched tf.data.Dataset"
    )
