"""Tells by its first bytes what a file holds; a file's name proves nothing."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from tfopt.errors import InputError
from tfopt.model.text import human_bytes

__all__ = ["check_not_stranger", "head", "is_hdf5", "is_zip"]

_HEAD_BYTES = 4096
_HDF5 = b"\x89HDF\r\n\x1a\n"
_SAVE_AGAIN = "tfopt reads .keras and HDF5 files saved by Keras, SavedModel folders, and app:NAME"

# Files people mistake for models: what they begin with, what they are, what to do.
_STRANGERS: tuple[tuple[bytes, str, str], ...] = (
    (rb"\A.{4}TFL3", "a TensorFlow Lite model", "give the Keras model it was converted from"),
    (rb"\A(\x1f\x8b|BZh|\xfd7zXZ\x00|\x28\xb5\x2f\xfd|7z\xbc\xaf\x27|Rar!)", "a compressed file", "unpack it first"),
    (rb"\A\x80[\x02-\x05]", "a Python pickle", "pickles run code and are never loaded; save with model.save()"),
    (rb"\A\x93NUMPY", "a NumPy array", "give the model; arrays go to --data as an .npz file"),
    (
        rb"(?i)\A\s*<(!doctype|html|\?xml)",
        "a web page",
        "download the file itself (its `raw` link), not its page",
    ),
    (rb"\A.{257}ustar", "a tar archive", "unpack it first"),
    (rb"\A\{\"__metadata__|\A.{8}\{\"", "a safetensors file, weights without a network", _SAVE_AGAIN),
    (
        rb"\A\s*\{",
        "a JSON text, without weights",
        "build it with keras.models.model_from_json, save it with model.save()",
    ),
    (rb"\A\x08[\x01-\x0f]\x12.{0,40}(pytorch|onnx|tf2onnx|keras)", "an ONNX model", _SAVE_AGAIN),
)

_LFS = re.compile(rb"\Aversion https://git-lfs\.github\.com/spec/\S+\n(?:.*\n)*?size (\d+)")


def head(path: Path) -> bytes:
    """The first 4 KiB of a file."""
    with path.open("rb") as stream:
        return stream.read(_HEAD_BYTES)


def is_zip(start: bytes) -> bool:
    """Whether a file that begins with `start` is a zip archive (possibly an empty one)."""
    return start.startswith((b"PK\x03\x04", b"PK\x05\x06"))


def is_hdf5(start: bytes) -> bool:
    """Whether a file that begins with `start` is HDF5: its signature, at 0 or after a user block of 512·2ⁿ bytes."""
    return any(start.startswith(_HDF5, offset) for offset in (0, 512, 1024, 2048))


def _empty(start: bytes, label: str, size: int) -> InputError | None:
    if size == 0:
        return InputError(f"{label} is empty (0 bytes)", "download or copy it again, or save the model again")
    return None


def _lfs_pointer(start: bytes, label: str, size: int) -> InputError | None:
    pointer = _LFS.match(start)
    if pointer is None:
        return None
    target = human_bytes(int(pointer[1][:30]))
    return InputError(
        f"{label} is a Git LFS pointer, not a model ({human_bytes(size)}, points to a {target} file)",
        "run `git lfs pull` in its repository, then try again",
    )


def _other_format(start: bytes, label: str, size: int) -> InputError | None:
    for pattern, what, hint in _STRANGERS:
        if re.search(pattern, start, re.DOTALL):
            return InputError(f"{label} is {what}, not a Keras model ({human_bytes(size)})", hint)
    return None


def _unknown(start: bytes, label: str, size: int) -> InputError:
    kind = "only zeros" if not start.strip(b"\0") else "text" if start.isascii() else "unknown data"
    return InputError(
        f"{label} is not a model: neither a zip archive nor HDF5, but {kind} ({human_bytes(size)})",
        _SAVE_AGAIN,
    )


_CHECKS: tuple[Callable[[bytes, str, int], InputError | None], ...] = (_empty, _lfs_pointer, _other_format)


def check_not_stranger(start: bytes, label: str, size: int) -> None:
    """Names what a file is that is neither zip nor HDF5; returns if it is one of the two.

    Raises:
        InputError: the file is empty, a Git LFS pointer, a known other format, or something unknown.
    """
    if is_zip(start) or is_hdf5(start):
        return
    for check in _CHECKS:
        error = check(start, label, size)
        if error is not None:
            raise error
    raise _unknown(start, label, size)
