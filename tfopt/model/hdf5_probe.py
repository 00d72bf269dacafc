"""Reads a whole HDF5 file in a process of its own: `python hdf5_probe.py FILE` prints what it found as JSON.

The HDF5 library crashes or hangs on some damaged files (seen with one byte changed), and neither can be caught in
the process it happens in. So each file is first read here, completely, under limits on memory and (by the caller)
time; what is read here without harm is read without harm later. The script imports only h5py and the standard
library.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import math
import os
import signal
import sys
from typing import Any

# A dataset may declare far more than it stores (fill values, compression); reading it allocates what it declares.
_MOST_EXPANSION = 100
_EXPANSION_FLOOR_BYTES = 64 * 2**20
_SLAB_BYTES = 16 * 2**20
_ATTRIBUTE_LIMIT_BYTES = 64 * 2**20
_MEMORY_FLOOR_BYTES = 3 * 2**30
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


class Refused(Exception):
    """The file is readable HDF5 and holds something that no Keras file holds."""


def _limit_memory(size: int) -> None:
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource  # not on Windows

        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_FLOOR_BYTES + 4 * size,) * 2)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _end_with_parent() -> None:
    """A killed tfopt cannot end its child, Linux can."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _attributes(item: Any) -> dict[str, Any]:
    """All attributes of a group or dataset, read."""
    found: dict[str, Any] = {}
    for key in item.attrs:
        handle = item.attrs.get_id(key)
        if math.prod(handle.shape or ()) * handle.dtype.itemsize > _ATTRIBUTE_LIMIT_BYTES:
            raise Refused(f"its attribute {key} declares more data than any network has")
        found[key] = item.attrs[key]
    return found


def _read(dataset: Any, name: str) -> int:
    """Reads a dataset slab by slab; returns its declared size in bytes."""
    if dataset.external or dataset.is_virtual:
        raise Refused(f"its dataset {name} keeps its data in other files")
    if dataset.shape is None:
        return 0
    declared = math.prod(dataset.shape) * dataset.dtype.itemsize
    stored = dataset.id.get_storage_size()
    if declared > max(_EXPANSION_FLOOR_BYTES, _MOST_EXPANSION * stored):
        raise Refused(f"its dataset {name} declares {declared} bytes and stores {stored}")
    if not dataset.shape or declared <= _SLAB_BYTES:
        dataset[()]
        return int(declared)
    rows = max(1, _SLAB_BYTES * dataset.shape[0] // declared)
    for first in range(0, dataset.shape[0], rows):
        dataset[first : first + rows]
    return int(declared)


def _walk(h5py: Any, group: Any, seen: set[Any]) -> int:
    """Reads everything below `group` once; returns the declared bytes of all datasets."""
    declared = 0
    for key in group:
        name = f"{group.name.rstrip('/')}/{key}"
        if not isinstance(group.get(key, getlink=True), h5py.HardLink):
            raise Refused(f"{name} is a link to another place")
        item = group[key]
        address = h5py.h5o.get_info(item.id).addr
        if address in seen:
            continue
        seen.add(address)
        _attributes(item)
        if isinstance(item, h5py.Dataset):
            declared += _read(item, name)
        elif isinstance(item, h5py.Group):
            declared += _walk(h5py, item, seen)
    return declared


def _text(value: Any) -> str | None:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, str) else None


def probe(path: str) -> dict[str, Any]:
    """What the file holds: Keras's attributes (null where absent), its top level, and its datasets' bytes."""
    import h5py

    with h5py.File(path, "r") as file:
        attributes = _attributes(file)
        declared = _walk(h5py, file, set())
        return {
            "model_config": _text(attributes.get("model_config")),
            "training_config": _text(attributes.get("training_config")),
            "keras_version": _text(attributes.get("keras_version")),
            "has_layer_names": "layer_names" in attributes,
            "members": [str(key) for key in list(file)[:20]],
            "declared_bytes": declared,
        }


def main(path: str) -> None:
    """Prints `{"found": …}`, or `{"refused": reason}`, or `{"unreadable": reason}`."""
    import h5py  # noqa: F401  # before the limit: what libraries reserve is no fault of the file

    _limit_memory(os.path.getsize(path))
    try:
        answer: dict[str, Any] = {"found": probe(path)}
    except Refused as reason:
        answer = {"refused": str(reason)}
    except Exception as error:
        answer = {"unreadable": str(error).strip("'\"") or type(error).__name__}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    _end_with_parent()
    main(sys.argv[1])
