"""A `.keras` file is a zip archive: its structure, sizes and checksums are checked before anything reads it."""

from __future__ import annotations

import json
import zipfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from tfopt.errors import InputError, RunFailed
from tfopt.model.config import CONFIG_LIMIT_BYTES, parse_config
from tfopt.model.text import human_bytes, one_line, quoted

__all__ = ["CONFIG", "METADATA", "WEIGHTS", "WEIGHTS_NPZ", "Archive", "keras_version_of", "read_archive", "unpack"]

CONFIG, METADATA, WEIGHTS, WEIGHTS_NPZ = "config.json", "metadata.json", "model.weights.h5", "model.weights.npz"
_ASSETS = "assets/"

# Keras stores members uncompressed; a recompressed file reaches 10:1, a zip bomb 1000:1.
_MOST_EXPANSION = 100
_EXPANSION_FLOOR_BYTES = 64 * 2**20
_CHUNK_BYTES = 2**20
_ENCRYPTED = 0x1

_AGAIN = "download or copy it again, or save the model again"
_TRUSTED = "get the file from a source you trust, or save the model again"

# Zip archives that are not Keras models: a member that tells, what the archive is, what to do.
_OTHER_ARCHIVES: tuple[tuple[str, str, str], ...] = (
    ("data.pkl", "a PyTorch checkpoint", "tfopt profiles Keras models; build the network in Keras and save it"),
    ("saved_model.pb", "a zipped SavedModel", "unzip it and give the folder that holds saved_model.pb"),
    (".npy", "a NumPy archive", "give the model; arrays go to --data"),
    (".keras", "an archive around a Keras model", "unzip it and give the .keras file inside"),
    (".h5", "an archive around HDF5 files", "unzip it and give the HDF5 file inside"),
)


@dataclass(frozen=True)
class Archive:
    """What a sound `.keras` archive says about itself."""

    config: dict[str, Any]
    keras_version: str | None


def _open(path: Path, label: str) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except Exception as error:  # BadZipFile, and struct, value and unicode errors from damaged directories
        size = human_bytes(path.stat().st_size)
        raise InputError(
            f"{label} is a truncated or damaged zip archive ({size}): {one_line(error, 100)}", _AGAIN
        ) from None


def _not_keras(names: list[str], label: str) -> InputError:
    if {WEIGHTS, METADATA} & set(names):
        return InputError(f"{label} has no network: {CONFIG} is missing from the archive", _AGAIN)
    for ending, what, hint in _OTHER_ARCHIVES:
        if any(name.endswith(ending) for name in names):
            return InputError(f"{label} is {what}, not a Keras model: it holds {quoted(names)}", hint)
    held = quoted(names) if names else "nothing"
    return InputError(f"{label} is a zip archive without {CONFIG}: it holds {held}", "save it with model.save()")


def _check_members(infos: list[zipfile.ZipInfo], label: str, size: int) -> None:
    """Names and declared sizes only; nothing is read."""
    names = [info.filename for info in infos]
    if CONFIG not in names:
        raise _not_keras(names, label)
    if WEIGHTS_NPZ in names:
        raise refuse_npz(label)
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise InputError(f"{label} holds {quoted(twice)} more than once: which one counts is ambiguous", _TRUSTED)
    if WEIGHTS not in names:
        raise InputError(f"{label} has no weights: {WEIGHTS} is missing from the archive", _AGAIN)
    if any(info.flag_bits & _ENCRYPTED for info in infos):
        raise InputError(f"{label} is encrypted", "decrypt it first")
    if sum(info.compress_size for info in infos) > size:
        raise InputError(f"{label} is damaged: its members overlap or reach beyond its end", _AGAIN)
    declared = sum(info.file_size for info in infos)
    if declared > max(_MOST_EXPANSION * size, _EXPANSION_FLOOR_BYTES):
        raise InputError(f"{label} is a zip bomb: {human_bytes(size)} that unpack to {human_bytes(declared)}", _TRUSTED)
    config = next(info for info in infos if info.filename == CONFIG)
    if config.file_size > CONFIG_LIMIT_BYTES:
        raise InputError(f"{label} has a {CONFIG} of {human_bytes(config.file_size)}, more than any network", _TRUSTED)


def refuse_npz(label: str) -> InputError:
    """The refusal of `.npz` weights, which Keras writes as Python pickles."""
    return InputError(
        f"{label} keeps its weights as a Python pickle ({WEIGHTS_NPZ}), which could run any code",
        "pickles are never loaded: save the model again with model.save(), which writes its weights as HDF5",
    )


def _check_contents(archive: zipfile.ZipFile, label: str) -> None:
    """Reads every member once, so that its length and CRC are known to be right."""
    for info in archive.infolist():
        try:
            with archive.open(info) as member:
                while member.read(_CHUNK_BYTES):
                    pass
        except Exception as error:  # zlib, lzma, EOF, CRC, unknown compression …
            raise InputError(
                f"{label} is damaged: its member {one_line(info.filename, 60)} cannot be read ({one_line(error, 100)})",
                _AGAIN,
            ) from None


def keras_version_of(metadata: bytes) -> str | None:
    """The `keras_version` of a metadata.json, None where it says nothing readable (Keras itself ignores the file)."""
    try:
        version = json.loads(metadata).get("keras_version")
    except (ValueError, AttributeError, RecursionError):
        return None
    return one_line(version, 30) if isinstance(version, str) and version else None


def read_archive(path: Path, label: str) -> Archive:
    """Checks the whole archive and reads its configuration; no weights are interpreted.

    Raises:
        InputError: not a Keras archive, damaged, ambiguous, encrypted, a zip bomb, or pickled weights.
    """
    with _open(path, label) as archive:
        _check_members(archive.infolist(), label, path.stat().st_size)
        _check_contents(archive, label)
        config = parse_config(archive.read(CONFIG), label)
        has_metadata = METADATA in archive.namelist()
        return Archive(config, keras_version_of(archive.read(METADATA)) if has_metadata else None)


def _is_wanted(name: str) -> bool:
    """The members a model consists of; an assets path that leaves its folder is not one."""
    if name in (CONFIG, METADATA, WEIGHTS):
        return True
    inside = ".." not in PurePosixPath(name).parts and "\\" not in name and ":" not in name
    return name.startswith(_ASSETS) and inside


def unpack(path: Path, folder: Path, label: str) -> None:
    """Writes the model's members (configuration, weights, assets) of a checked archive into `folder`.

    Raises:
        RunFailed: they cannot be written, because the disk is full or the like. InputError: they cannot be read.
    """
    with _open(path, label) as archive:
        try:
            for name in filter(_is_wanted, archive.namelist()):
                archive.extract(name, folder)
        except OSError as error:
            raise RunFailed(
                f"{label} cannot be unpacked: {error.strerror or one_line(error)}",
                "make room in the temporary folder, or name another one in TMPDIR",
            ) from error
        except Exception as error:
            raise InputError(f"{label} cannot be unpacked: {one_line(error)}", _AGAIN) from None
