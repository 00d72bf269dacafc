"""Damage to HDF5 files: their structure through the library, their headers byte by byte."""

from __future__ import annotations

import io
from collections.abc import Callable
from random import Random
from typing import Any

import h5py
import numpy as np

from bench.fuzzing.mutators import MUTATORS, mutator

# Marks of HDF5's structures: what follows them is addresses, sizes and counts.
_MARKS = (b"\x89HDF", b"TREE", b"HEAP", b"SNOD", b"OHDR", b"FRHP", b"BTHD", b"GCOL")
_SHAPES = ((0,), (1,), (), (7, 3), (10**6, 10**6), (2**31, 2), (2**62,), (1, 1, 1, 1, 1))
_DTYPES = ("float32", "float64", "int8", "S10", "complex64", "bool", h5py.string_dtype())


def _edited(data: bytes, edit: Callable[[h5py.File, list[str]], None]) -> bytes:
    memory = io.BytesIO(data)
    with h5py.File(memory, "r+") as file:
        datasets: list[str] = []
        file.visititems(lambda name, item: datasets.append(name) if isinstance(item, h5py.Dataset) else None)
        edit(file, datasets)
    return memory.getvalue()


@mutator("hdf5")
def flip_in_header(data: bytes, rng: Random) -> bytes:
    """Bytes just behind a structure's mark."""
    mark = rng.choice([mark for mark in _MARKS if mark in data] or [data[:1]])
    starts, at = [], data.find(mark)
    while at >= 0 and len(starts) < 500:
        starts.append(at)
        at = data.find(mark, at + 1)
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 4))):
        at = min(rng.choice(starts) + len(mark) + rng.randrange(60), len(data) - 1)
        changed[at] = rng.choice((0, 1, 0xFF, 0x7F, rng.randrange(256)))
    return bytes(changed)


@mutator("hdf5")
def other_shape(data: bytes, rng: Random) -> bytes:
    """A dataset of another shape or type; giant ones are declared and hold nothing."""

    def edit(file: h5py.File, datasets: list[str]) -> None:
        name, shape = rng.choice(datasets), rng.choice(_SHAPES)
        del file[name]
        options: dict[str, Any] = {"chunks": tuple(min(size, 64) for size in shape)} if shape and 0 not in shape else {}
        file.create_dataset(name, shape, rng.choice(_DTYPES), **options)

    return _edited(data, edit)


@mutator("hdf5")
def other_values(data: bytes, rng: Random) -> bytes:
    """NaN, infinity or denormals: sound to read, poison to compute with."""

    def edit(file: h5py.File, datasets: list[str]) -> None:
        for name in rng.sample(datasets, min(len(datasets), 3)):
            if file[name].dtype.kind == "f" and file[name].shape:
                file[name][...] = rng.choice((np.nan, np.inf, 1e-45, 3e38))

    return _edited(data, edit)


@mutator("hdf5")
def drop_item(data: bytes, rng: Random) -> bytes:
    def edit(file: h5py.File, datasets: list[str]) -> None:
        name = rng.choice(datasets)
        for _ in range(rng.randrange(4)):
            name = name.rpartition("/")[0] or name
        del file[name]

    return _edited(data, edit)


@mutator("hdf5")
def link_elsewhere(data: bytes, rng: Random) -> bytes:
    """Soft, external and cyclic links, and data in other files."""

    def edit(file: h5py.File, datasets: list[str]) -> None:
        name = rng.choice(datasets)
        group = name.rpartition("/")[0] or "/"
        del file[name]
        kind = rng.randrange(4)
        if kind == 3:
            file.create_dataset(name, (4,), "int8", external=[("/etc/passwd", 0, 4)])
        else:
            targets = (h5py.SoftLink("/absent"), h5py.ExternalLink("/etc/passwd", "/"), file[group])
            file[name] = targets[kind]

    return _edited(data, edit)


@mutator("hdf5")
def hostile_attribute(data: bytes, rng: Random) -> bytes:
    def edit(file: h5py.File, datasets: list[str]) -> None:
        item = file[rng.choice(("/", *datasets))]
        name = rng.choice((*item.attrs, "keras_version", "layer_names", "weight_names", "backend"))
        values = (
            "",
            "\x1b[31m",
            b"\xff\xfe",
            np.nan,
            np.zeros(5000),
            np.array([], "S1"),
            -1,
            h5py.Empty("f4"),
            b"[" * 60_000,
        )
        item.attrs[name] = rng.choice(values)

    return _edited(data, edit)


@mutator("hdf5")
def damage_config(data: bytes, rng: Random) -> bytes:
    """The network's description in the attributes; where the file has none, its weights."""
    change = rng.choice(list(MUTATORS["config"].values()))

    def edit(file: h5py.File, datasets: list[str]) -> None:
        name = rng.choice(("model_config", "model_config", "model_config", "training_config"))
        text = file.attrs.get(name)
        if text is not None:
            raw = text.encode() if isinstance(text, str) else bytes(text)
            file.attrs.create(name, change(raw, rng).decode("utf-8", "surrogatepass"), dtype=h5py.string_dtype())

    return _edited(data, edit)
